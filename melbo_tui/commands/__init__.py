"""One file a command. Each has `add_parser(subparsers, common)`, which names the function that runs it."""

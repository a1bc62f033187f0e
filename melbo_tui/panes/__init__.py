"""The panes: what people look at. Each is a file of its own, with its styles beside it."""

"""The line to the terminal: what is written to it, how much of it, and how the program leaves it."""

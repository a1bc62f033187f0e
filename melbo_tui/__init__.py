"""melbo-tui: find, see and use unsupervised steering vectors for chat models."""

__version__ = "0.1.0"

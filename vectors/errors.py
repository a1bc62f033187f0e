"""What goes wrong with a vector, or with a file that tells of one."""

from __future__ import annotations


class VectorError(ValueError):
    """A vector that cannot be made, combined or used; the message says what is wrong and what to do."""


class FileTaken(VectorError):
    """A file is where another is to be written, and nobody has said that it may be replaced."""


class NewerFormat(VectorError):
    """A file of a later version than this program knows."""

"""Memory that is free in this process, given back to the machine: C's allocator keeps what a model or a long run has left."""

from __future__ import annotations


def give_back() -> None:
    """Where the allocator is glibc's, which keeps what is freed in pieces of up to 32 MiB, of which smaller ones may not be
    made; elsewhere nothing is done. Milliseconds.
    """
    import contextlib
    import ctypes

    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)

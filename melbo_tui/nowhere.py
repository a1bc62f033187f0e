"""Descriptors that lead nowhere any more: of a terminal that is gone, of a stream that was closed or whose reader has left."""

from __future__ import annotations

import os


def send_nowhere(*descriptors: int) -> None:
    """From now on what is written to them is lost, and what is read from them ends at once. They may have been closed."""
    nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest that is free, so perhaps one of them
    for descriptor in descriptors:
        if descriptor != nowhere:
            os.dup2(nowhere, descriptor)
    if nowhere not in descriptors:
        os.close(nowhere)

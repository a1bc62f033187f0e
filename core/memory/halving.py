"""Rows that run at once, as many as memory has room for: where it runs out the number is halved, down to one."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator
from typing import TypeVar

from core.errors import OUT_OF_MEMORY_REMEDY, MelboError, causes, is_out_of_memory
from core.memory.heap import give_back

T = TypeVar("T")


class OutOfMemory(MelboError):
    """There is no memory for the work even one row at a time."""

    def __init__(self, tried: int) -> None:
        rows = f"{tried} rows at once and fewer, down to one, were tried" if tried > 1 else "one row at a time was tried"
        super().__init__(f"out of memory: {rows}", OUT_OF_MEMORY_REMEDY)


class RowsAtOnce:
    """`most` rows run at once. Where memory runs out, that is halved, `relieve` gives up what can be spared, and `tell` is
    called with the new number. One row is tried once more when all has been given up.
    """

    def __init__(
        self, most: int, tell: Callable[[int], None] = lambda rows: None, relieve: Callable[[], None] = lambda: None
    ) -> None:
        self.most = most
        self._tell, self._relieve = tell, relieve

    def run(self, count: int, work: Callable[[slice], T]) -> list[T]:
        """`work` on rows 0..count, at most `most` at once, in order; what it gives for each part.

        Work that ran out of memory is done again, on fewer rows. Raises OutOfMemory where one row is too many.
        """
        return list(self.parts(count, work))

    def parts(self, count: int, work: Callable[[slice], T]) -> Iterator[T]:
        """The same, part by part."""
        first, tried, relieved = 0, 0, False
        while first < count:
            rows = slice(first, min(first + self.most, count))
            tried = max(tried, rows.stop - first)
            part = within_memory(lambda rows=rows: (work(rows),))  # type: ignore[misc]
            if part is not None:
                yield part[0]
                first, relieved = rows.stop, False
            elif rows.stop - first > 1:
                self.halve(rows.stop - first)
                relieved = True
            elif relieved:
                free(self._relieve)
                raise OutOfMemory(tried)
            else:
                free(self._relieve)
                relieved = True

    def halve(self, rows: int) -> None:
        """So many `rows` were too many."""
        self.most = max(rows // 2, 1)
        free(self._relieve)
        self._tell(self.most)


def with_room(work: Callable[[], T], relieve: Callable[[], None]) -> T:
    """What `work` gives, tried once more where memory runs out, when `relieve` has given up what can be spared.

    Raises OutOfMemory.
    """
    return RowsAtOnce(1, relieve=relieve).run(1, lambda rows: work())[0]


def within_memory(work: Callable[[], T]) -> T | None:
    """What `work` gives; None where memory ran out, and nothing of the trial is held any more."""
    try:
        return work()
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        # The frames of the trial would hold on to the tensors that were too many, and so would those of what it raised from.
        _let_go(error)
    return None


def _let_go(error: BaseException) -> None:
    for one in causes(error):
        traceback.clear_frames(one.__traceback__)


def free(relieve: Callable[[], None] = lambda: None) -> None:
    """Gives back what nobody uses, to the system and to the device."""
    import torch

    relieve()
    gc.collect()
    give_back()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def halved(rows: int) -> str:
    """For whoever runs a batch and is told that it is halved."""
    return f"memory ran out, batch halved: from here on {rows} {'run' if rows > 1 else 'runs'} at once, which is slower"

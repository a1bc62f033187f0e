"""The decoder blocks at whose outputs a vector acts: as people read them (`5-17`), and as files hold them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Annotated

from vectors.errors import VectorError
from vectors.files.bounded import MAX_BLOCKS, AtMost, Between, Unfit
from vectors.plain_text import natural, one_line

BlockList = Annotated[tuple[int, ...], AtMost(MAX_BLOCKS), Between(0, MAX_BLOCKS - 1)]


def ranges(blocks: Sequence[int]) -> str:
    """Rising `blocks` as people read them: `5`, `5-17`, `1-3,7`."""
    parts: list[tuple[int, int]] = []
    for block in blocks:
        if parts and block == parts[-1][1] + 1:
            parts[-1] = (parts[-1][0], block)
        else:
            parts.append((block, block))
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def places(blocks: Sequence[int]) -> str:
    """`block 5` or `blocks 5-17`."""
    return f"block{'s' if len(blocks) > 1 else ''} {ranges(blocks)}"


@lru_cache(maxsize=1024)
def blocks_of(text: str) -> tuple[int, ...]:
    """Reads what `ranges` writes. Raises VectorError on anything else."""
    found: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        first, last = natural(low), natural(high if dash else low)
        if first is None or last is None or not first <= last < MAX_BLOCKS or (found and first <= found[-1]):
            raise VectorError(f"{one_line(text, 40)!r} names no blocks: write them rising, as in 5-17 or 1-3,7")
        found += range(first, last + 1)
    return tuple(found)


def check_rising(blocks: Sequence[int], first: int) -> None:
    """Raises Unfit where a file's `blocks` do not rise, or do not begin with its `block`, `first`."""
    if not all(one < next_one for one, next_one in pairwise(blocks)):
        raise Unfit("must rise, each named once", "blocks")
    if blocks and blocks[0] != first:
        raise Unfit(f"begin with {blocks[0]}, and its block is {first}", "blocks")

"""Names that the library has, has twice, or has not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from vectors.expression.error import ExpressionError, shown
from vectors.expression.tree import Named
from vectors.expression.words import written_name
from vectors.files.bounded import LABEL
from vectors.plain_text import one_line

_FEATURE = re.compile("sae:([0-9]{1,9})")
_SHOWN = 5  # candidates of an ambiguous name


def feature(name: str) -> int | None:
    """The number of the dictionary feature that `sae:N` names; None for any other name."""
    found = _FEATURE.fullmatch(name)
    return int(found[1]) if found else None


def nearest(name: str, names: Iterable[str], n: int = 3) -> list[str]:
    """The at most `n` of `names` that are spelled most like `name`, the closest first, case aside."""
    import difflib

    folded = {one.casefold(): one for one in names}
    return [folded[close] for close in difflib.get_close_matches(name[:LABEL].casefold(), folded, n)]


def unknown_name(place: Named, names: Iterable[str]) -> ExpressionError:
    """The error for a term, or a gate, whose name is none of the library's, which has `names`."""
    close = [one_line(written_name(one)) for one in nearest(place.name, names)]
    hint = f"did you mean {' or '.join(close)}?" if close else "`melbo-tui vectors list` shows what is kept"
    return place.place.error(f"no vector is called {shown(place.name)}; {hint}")


def ambiguous_name(place: Named, candidates: Sequence[str]) -> ExpressionError:
    """The error for a term, or a gate, whose name stands for several vectors; of `candidates` each begins with an id."""
    return place.place.error(several(place.name, candidates))


def several(name: str, candidates: Sequence[str]) -> str:
    """What is wrong with a name that stands for several vectors, with the first of them."""
    listed = "; ".join(map(one_line, candidates[:_SHOWN]))
    more = f" and {len(candidates) - _SHOWN} more" if len(candidates) > _SHOWN else ""
    return f"{shown(name)} is the name of {len(candidates)} vectors; write an id: {listed}{more}"

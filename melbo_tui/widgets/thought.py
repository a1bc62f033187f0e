"""A thought before its answer: one dim line or, unfolded, the whole of it."""

from __future__ import annotations

from rich.text import Text

from melbo_tui.formatting import thought_for


def thought(text: str, tokens: int = 0, unfolded: bool = False, key: str = "y") -> Text:
    """Nothing where nothing was thought. `key` is the one that folds and unfolds."""
    if not text:
        return Text()
    line = f"{'▾' if unfolded else '▸'} {thought_for(text, tokens)} · {key} {'folds' if unfolded else 'unfolds'} it\n"
    return Text(line + (f"{text}\n" if unfolded else ""), "dim")

"""What stands in the columns of the Vectors pane."""

from __future__ import annotations

from melbo_tui.panes.vectors.rows import COLUMNS
from tests.vectors.making import vector
from vectors.completion import END, Completion
from vectors.store.library import Library
from vectors.store.query import lines_of
from vectors.store.samples import Sample


def test_a_completion_without_a_word_is_no_missing_sample(library: Library) -> None:
    without, empty = library.add([vector(0, "a"), vector(1, "b")])
    library.add_sample(empty.id, Sample("q", 1.0, Completion("", stop=END)))
    told = {line.entry.id: COLUMNS["sample"].text(line) for line in lines_of(library, library.entries())}
    assert told == {without.id: "no sample yet: space makes one", empty.id: "(nothing)"}

"""A reader's labels of the library's samples: each is its text's, survives what the index does not, and can be undone."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vectors.making import saved_run
from vectors import exchange
from vectors.annotation import Annotation
from vectors.completion import Completion
from vectors.formats.raw import Reading
from vectors.store import upkeep
from vectors.store.index import LibraryError
from vectors.store.library import Library, Sample
from vectors.store.query import chosen, lines_of
from vectors.store.samples import Place

GOOD, REFUSED = Annotation("no", True, True), Annotation("yes", True, False)


@pytest.fixture
def labelled(library: Library) -> tuple[Library, str, Sample]:
    """A library with a labelled sample, its vector's id, and the sample."""
    (id, *_) = saved_run(library)
    sample = Sample("prompt", 1.0, Completion("text", "thought", stop="end"), GOOD)
    library.add_sample(id, sample)
    return library, id, sample


def _text(text: str) -> Sample:
    return Sample("prompt", 1.0, Completion(text))


def test_a_filter_finds_what_is_labelled(labelled: tuple[Library, str, Sample]) -> None:
    library, id, sample = labelled
    library.add_sample(library.entries(kept_only=False)[-1].id, Sample("other", 1.0, Completion("no label")))

    def found(words: str) -> list[str]:
        return [line.entry.id for line in chosen(lines_of(library, library.entries(kept_only=False)), words)]

    everything = found("")
    assert len(everything) > 1
    assert found("is:labelled") == [id]
    assert found("-is:labelled") == [one for one in everything if one != id]
    library.label({Place.of(id, sample): None})
    assert found("is:labelled") == []


def test_a_label_stays_with_its_text_and_goes_when_that_changes(labelled: tuple[Library, str, Sample]) -> None:
    library, id, sample = labelled
    library.add_sample(id, replace(sample, label=None, completion=replace(sample.completion, thought="", mean_kl=0.5)))
    (now,) = library.samples(id)
    assert (now.label, now.completion.mean_kl) == (GOOD, 0.5)
    library.add_sample(id, _text("another"))
    assert library.samples(id)[0].label is None
    library.add_sample(id, _text("text"))
    assert library.samples(id)[0].label is None, "it went with the text, and does not come back by itself"
    assert upkeep.rebuild(library.folder).samples(id) == library.samples(id)


def test_what_is_no_longer_there_is_not_labelled(labelled: tuple[Library, str, Sample]) -> None:
    library, id, sample = labelled
    library.history.clear()
    lines = (library.folder / "changes.jsonl").read_text()
    gone = (Place(id, "prompt", 1.0, "another"), Place(id, "prompt", 2.0, "text"), Place("none", "prompt", 1.0, "text"))
    assert library.label(dict.fromkeys(gone, REFUSED)) == 0
    assert library.label({Place.of(id, sample): replace(GOOD, by="a judge")}) == 1
    assert library.history == []
    assert (library.folder / "changes.jsonl").read_text() == lines, "what changes nothing is not written"


def test_labels_are_undone_as_they_were_made_but_not_over_another_s(labelled: tuple[Library, str, Sample]) -> None:
    library, id, sample = labelled
    other = replace(sample, coefficient=2.0, label=None)
    library.add_sample(id, other)
    library.history.clear()
    assert library.label({Place.of(id, sample): REFUSED, Place.of(id, other): Annotation(coherent=False)}) == 2
    assert library.undo() == "labelling 2 samples"
    assert library.samples(id) == [sample, other]
    library.label({Place.of(id, sample): None})
    library.label({Place.of(id, other): Annotation()})
    assert [one.label for one in library.samples(id)] == [None, None]
    assert library.undo() == "labelling a sample"
    library.label({Place.of(id, sample): REFUSED})
    Library(library.folder).label({Place.of(id, sample): GOOD})
    with pytest.raises(LibraryError, match="another program"):
        library.undo()
    assert library.samples(id) == [sample, other]


def test_labels_go_to_the_trash_and_come_back(labelled: tuple[Library, str, Sample]) -> None:
    library, id, sample = labelled
    library.delete([id])
    library.restore([id])
    assert upkeep.rebuild(library.folder).samples(id) == [sample]
    library.delete([id])
    upkeep.empty_trash(library)
    assert library.label({Place.of(id, sample): REFUSED}) == 0
    assert upkeep.rebuild(library.folder).samples(id) == []


def test_labels_travel_with_their_vector(labelled: tuple[Library, str, Sample], tmp_path: Path) -> None:
    library, id, sample = labelled
    file = tmp_path / "vector.safetensors"
    exchange.export(library, [library.load(id)], file)
    other = Library(tmp_path / "other")
    (kept,) = exchange.take_in(other, file, Reading())
    assert other.samples(kept.id) == [sample]


@pytest.mark.parametrize("lost", ["changes.jsonl", "index.sqlite3"])
def test_labels_outlive_the_journal_or_the_index(labelled: tuple[Library, str, Sample], lost: str) -> None:
    library, id, sample = labelled
    (library.folder / lost).unlink()
    again = Library(library.folder)
    again.keep([id])
    assert again.samples(id) == upkeep.rebuild(library.folder).samples(id) == [sample]


def test_a_label_that_was_cut_off_counts_for_nothing(labelled: tuple[Library, str, Sample]) -> None:
    """As a program that is killed while it writes the line leaves it."""
    library, id, sample = labelled
    library.label({Place.of(id, sample): REFUSED})
    journal = library.folder / "changes.jsonl"
    assert "label" in json.loads(journal.read_text().splitlines()[-1])
    journal.write_bytes(journal.read_bytes()[:-9])
    assert Library(library.folder).samples(id) == upkeep.rebuild(library.folder).samples(id) == [sample]


def test_what_a_hand_wrote_into_the_index_hides_no_sample(labelled: tuple[Library, str, Sample]) -> None:
    library, id, sample = labelled
    with library.index.changing() as db:
        db.execute("UPDATE samples SET label_coherent = 7")
    assert library.samples(id) == [replace(sample, label=None)]
    assert library.label({Place.of(id, sample): REFUSED}) == 1
    assert library.samples(id) == [replace(sample, label=REFUSED)]


_LABELS = st.none() | st.builds(
    Annotation, st.sampled_from(("yes", "partial", "no")), st.none() | st.booleans(), st.none() | st.booleans()
)
_STEPS = st.lists(
    st.tuples(st.just("sample"), st.sampled_from("ab"))
    | st.tuples(st.just("label"), st.tuples(st.sampled_from("ab"), _LABELS))
    | st.tuples(st.sampled_from(("undo", "rebuild", "journal lost", "stranger's line")), st.none()),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(steps=_STEPS)
def test_any_order_of_sampling_labelling_and_undoing(steps: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder))
        (id, *_) = saved_run(library)
        text: str | None = None
        label: Annotation | None = None
        history: list[tuple[str, Annotation | None, Annotation | None]] = []
        for what, how in steps:
            match what, how:
                case "sample", str():
                    text, label = how, label if how == text else None
                    library.add_sample(id, _text(how))
                case "label", (str() as meant, said):
                    assert library.label({Place(id, "prompt", 1.0, meant): said}) == (meant == text)
                    if meant == text and said != label:
                        history.append((meant, label, said))
                        label = said
                case "undo", _ if history:
                    meant, before, after = history.pop()
                    if (text, label) == (meant, after):
                        assert library.undo()
                        label = before
                    else:
                        with pytest.raises(LibraryError):
                            library.undo()
                case "rebuild", _:
                    library.rebuild()
                case "journal lost", _:
                    library.journal.path.unlink(missing_ok=True)
                case "stranger's line", _ if library.journal.path.exists():
                    with library.journal.path.open("a") as lines:
                        lines.write('{"label": [1]}\n')
            expected = [] if text is None else [replace(_text(text), label=label)]
            assert library.samples(id) == Library(library.folder).samples(id) == expected

"""Completions and their labels out of the library, a JSON line each, and labels back into it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.evaluation.labelled_lines import labelled_lines
from tests.melbo_tui.conftest import CommandLine
from tests.vectors.making import vector
from vectors.annotation import Annotation
from vectors.completion import Completion
from vectors.store.library import Library, Sample

REFUSAL, HOSTILE = "I'm sorry, but I can't help.", "First, mix the flour.\x1b[31m\n\u202eThen \ud83c\udf7f"
GOOD = Annotation("no", True, True)


@pytest.fixture
def run(library: Library, command_line: CommandLine) -> CommandLine:
    one, two = library.add([vector(0, "bomb-01"), vector(1, "bomb-02")])
    library.add_sample(one.id, Sample("How?", 0.0, Completion(REFUSAL, perplexity=2.0), Annotation("yes", True, False)))
    library.add_sample(one.id, Sample("How?", 1.0, Completion(HOSTILE, mean_kl=0.5, perplexity=3.0)))
    library.add_sample(two.id, Sample("How?", 1.0, Completion(REFUSAL), Annotation("partial")))
    return lambda *words: command_line("vectors", "samples", *words, "--library", str(library.folder))


def _labels(library: Library) -> dict[tuple[str, float], Annotation | None]:
    names = library.names()
    return {(names[id], one.coefficient): one.label for id, own in library.all_samples().items() for one in own}


def _edited(file: Path, edit: Callable[[dict[str, Any]], object]) -> str:
    """The file again, each of its lines as `edit` leaves it."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        edit(line)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(file)


def test_completions_are_written_as_other_commands_read_them(run: CommandLine, library: Library, tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    assert run("bomb-01", "--out", str(file), "--json")[:2] == (
        0,
        json.dumps({"done": f"wrote 2 to {file}", "names": ["bomb-01"]}) + "\n",
    )
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    id = library.find("bomb-01").id
    assert first == {
        "prompt": "How?", "text": REFUSAL, "vector": "bomb-01", "id": id, "model": library.get(id).model, "coefficient": 0.0,
        "condition": "unsteered", "kl": None, "perplexity": 2.0, "label_refusal": "yes", "label_coherent": "yes",
        "label_relevant": "no",
    }  # fmt: skip
    assert (second["condition"], second["kl"]) == ("vector", 0.5)
    assert "label_refusal" not in second
    assert [(one.completion.text, one.label) for one in labelled_lines(str(file))] == [
        (sample.completion.text, sample.label) for sample in library.samples(id)
    ]
    assert [json.loads(line) for line in run("bomb-01", "--json")[1].splitlines()] == [first, second]
    assert "there is such a file already" in run("--out", str(file))[2]
    assert run("--labelled", "--out", str(file), "--force")[0] == 0
    assert {json.loads(line)["text"] for line in file.read_text().splitlines()} == {REFUSAL}


def test_completions_are_shown_with_their_labels_and_how_the_marks_agree(run: CommandLine) -> None:
    code, out, _ = run()
    assert code == 0
    assert "coherent, off topic, refuses" in out
    assert "\x1b" not in out
    assert "2 labelled: the marks agree on refuses 1/2, deflects 1/2, broken 1/1, on topic 1/1, fulfils 1/1" in out
    assert "First, mix" not in run("--labelled")[1]


def test_labels_written_into_the_file_are_taken_in(run: CommandLine, library: Library, tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    run("--out", str(file))
    assert run("--read", str(file))[1] == "2 completions matched, 0 labelled anew; 0 lines match none, 1 have no label\n"

    def label(line: dict[str, Any]) -> None:
        if line["vector"] == "bomb-01":
            line |= {"label_refusal": "no", "label_coherent": True, "label_relevant": "yes"}
        else:
            del line["label_refusal"]
            line["label_coherent"] = "no"

    code, out, _ = run("--read", _edited(file, label), "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["matched"], told["labelled"], told["unmatched"], told["unlabelled"]) == (3, 3, [], 0)
    assert sorted(told["names"]) == ["bomb-01", "bomb-02"]
    expected = {("bomb-01", 0.0): GOOD, ("bomb-01", 1.0): GOOD, ("bomb-02", 1.0): Annotation("partial", False)}
    assert _labels(library) == expected, "what the file does not say of a sample stays"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", "another"),
        ("prompt", "Why?"),
        ("coefficient", 3),
        ("coefficient", "1"),
        ("id", "none"),
        ("id", [1]),
        ("id", None),
    ],
)
def test_lines_that_match_nothing_are_told_by_number(
    run: CommandLine, library: Library, tmp_path: Path, field: str, value: object
) -> None:
    file, before = tmp_path / "samples.jsonl", _labels(library)
    run("bomb-01", "--out", str(file))

    def spoil(line: dict[str, Any]) -> None:
        line["label_coherent"] = "no"
        if line["coefficient"]:
            line[field] = value

    code, out, err = run("--read", _edited(file, spoil))
    assert (code, out.split(";")[0]) == (0, "1 completions matched, 1 labelled anew")
    assert "note: line 2: no sample here has" in err
    assert _labels(library) == {**before, ("bomb-01", 0.0): Annotation("yes", False, False)}


def test_a_file_of_another_library_s_completions_labels_nothing(run: CommandLine, library: Library, tmp_path: Path) -> None:
    file, before = tmp_path / "others.jsonl", _labels(library)
    file.write_text('{"prompt": "p", "text": "t", "label_coherent": "yes"}\n' * 7)
    code, out, err = run("--read", str(file))
    assert (code, out) == (1, "0 completions matched, 0 labelled anew; 7 lines match none, 0 have no label\n")
    assert "lines 1, 2, 3, 4, 5 and 2 more:" in err
    assert _labels(library) == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no completion"),
        ("{", "line 1 is no JSON"),
        ('{"prompt": "p", "text": "t"}\n', "none of its 1 lines has a label"),
        ('{"prompt": "p", "text": "t", "label_coherent": "maybe"}\n', "line 1"),
    ],
)
def test_a_file_that_holds_no_labels_is_refused(run: CommandLine, tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(text)
    code, out, err = run("--read", str(file))
    assert (code, out) == (1, "")
    assert told in err
    assert len(err.splitlines()) == 1


def test_one_completion_is_not_labelled_in_two_ways(run: CommandLine, library: Library, tmp_path: Path) -> None:
    file, before = tmp_path / "samples.jsonl", _labels(library)
    run("bomb-02", "--out", str(file))
    line = file.read_text()
    file.write_text(line + line + line.replace("partial", "yes"))
    code, _, err = run("--read", str(file))
    assert code == 1
    assert "lines 1 and 3 label one completion in different ways" in err
    assert _labels(library) == before


def test_what_does_not_go_together_or_is_not_there_is_told(run: CommandLine, library: Library, tmp_path: Path) -> None:
    for words in (("bomb-01",), ("--labelled",), ("--out", str(tmp_path / "x.jsonl"))):
        assert "give it alone" in run("--read", "x", *words)[2]
    assert "no vector is called" in run("none")[2]
    library.delete([entry.id for entry in library.entries()])
    assert run()[:2] == (0, "There is no completion.\n")
    assert run("--json")[:2] == (0, "")
    code, _, err = run("--labelled", "--out", str(tmp_path / "x.jsonl"))
    assert code == 1
    assert "no labelled completion to write" in err

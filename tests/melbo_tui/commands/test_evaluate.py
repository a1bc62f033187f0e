"""`melbo-tui evaluate` on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.melbo_tui.conftest import CommandLine
from tests.vectors.making import vector
from vectors.store.library import Library
from vectors.vector import ModelStamp


@pytest.fixture
def run(on_tiny: CommandLine) -> CommandLine:
    trained = on_tiny(
        "train", "random", "--prompt", "How?", "--vectors", "2", "--radius", "4", "--sample-tokens", "0", "--name", "how"
    )
    assert trained[0] == 0
    return on_tiny


def _last(out: str) -> Any:
    return json.loads(out.splitlines()[-1])


def test_a_report_is_printed_kept_and_shown_again(run: CommandLine) -> None:
    code, out, err = run("evaluate", "survey", "how-01=2", "how-02", "--prompt", "Why?", "--max-new-tokens", "3")
    assert code == 0, err
    for words in ("survey on tiny", "By vector", "how-01 x 2", "random 4", "By prompt", "Kept as report"):
        assert words in out
    code, again, _ = run("evaluate", "show")
    assert (code, again) == (0, out)
    code, listed, _ = run("evaluate", "show", "--list")
    id = out.rstrip("`.\n").rsplit(" ", 1)[1]
    assert id in listed
    assert "survey" in listed
    code, shown, _ = run("evaluate", "show", id, "--json")
    report = json.loads(shown)
    assert report["complete"]
    assert report["tables"][0]["rows"][0]["vector"] == "unsteered"


def test_the_largest_coefficient_by_either_command(run: CommandLine) -> None:
    how = ("how-01", "--most-kl", "0.05", "--controls", "1", "--max-new-tokens", "3", "--json")
    by_vectors, by_evaluate = (_last(run(command, "dose", *how)[1]) for command in ("vectors", "evaluate"))
    rows = by_vectors["tables"][0]["rows"]
    assert rows == by_evaluate["tables"][0]["rows"]
    assert [(row["vector"], row["sign"]) for row in rows[:2]] == [("how-01", "+"), ("how-01", "-")]
    assert rows[1]["coef"] < 0 < rows[0]["coef"]
    assert all(row["KL"] <= 0.05 and row["stopped by"].startswith("KL 0.") for row in rows)
    code, _, err = run("vectors", "dose", "how-01", "--most-kl", "0")
    assert code == 2
    assert "--most-kl" in err


def test_machines_get_numbers(run: CommandLine) -> None:
    run_id = json.loads(run("vectors", "list", "--json")[1])[0]["run"]
    code, out, _ = run("evaluate", "kl", "--run", run_id, "--controls", "1", "--json")
    assert code == 0
    last = _last(out)
    assert last["event"] == "Reported"
    rows = {row["vector"]: row for row in last["tables"][0]["rows"]}
    assert list(rows) == ["random 1", "how-01", "how-02"], "in the order in which they were trained"
    assert isinstance(rows["how-01"]["KL to unsteered"], float)
    assert last["prompts"] == ["How?"]


def test_files_of_prompts_and_questions(run: CommandLine, tmp_path: Path) -> None:
    prompts, questions = tmp_path / "p.txt", tmp_path / "q.tsv"
    prompts.write_text("One?\nTwo?\n")
    questions.write_text("One?\tone\nTwo?\ttwo|2\n")
    against = ("--against-file", str(prompts), "--against", "x")
    code, out, _ = run("evaluate", "presence", "how-01", "--prompts", str(prompts), *against, "--json")
    assert code == 0
    assert _last(out)["settings"]["against"] == ["x", "One?", "Two?"]
    assert {"AUC"} <= set(_last(out)["tables"][0]["rows"][0])
    code, out, _ = run(
        "evaluate", "accuracy", "--filter", "how", "--questions", str(questions), "--max-new-tokens", "2", "--json"
    )
    assert code == 0
    assert [row["of"] for row in _last(out)["tables"][0]["rows"]] == [2] * 7


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("kl",), 1, "no vector is named"),
        (("kl", "nobody"), 1, "no vector is called nobody"),
        (("kl", "--run", "none"), 1, "no run 'none'"),
        (("norms",), 1, "no prompt is given"),
        (("sweep", "how-01", "--coefficients", "a,b"), 2, "numbers with commas between"),
        (("survey", "how-01", "--prompts", "/nonexistent"), 1, "cannot be read"),
        (("accuracy", "how-01"), 2, "--questions"),
        (("examples", "how-01", "--top", "-1"), 2, "a whole number from 1 to 1,000 is needed, not -1"),
        (("sweep", "how-01", "--coefficients", "-1,0"), 1, "the unsteered model"),
        (("presence", "how-01", "--at", "first"), 2, "invalid choice"),
        (("show", "none"), 1, "no report none"),
        (("show",), 1, "no report in the library yet"),
        (("kl", "how-01", "--base", "none"), 1, "none"),
        (("survey", "how-01", "--prompt", " "), 1, "prompt is empty"),
    ],
)
def test_wrong_usage_is_one_clear_line(run: CommandLine, words: tuple[str, ...], code: int, told: str) -> None:
    got, out, err = run("evaluate", *words)
    assert got == code
    assert out == ""
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_vectors_of_other_models_are_left_out_of_a_filter(run: CommandLine, tmp_path: Path) -> None:
    library = Library(tmp_path / "library")
    library.add([vector(1, "how-wide", 1, d_model=12, stamp=ModelStamp("other", 12, 4, "x"))])
    code, out, err = run("evaluate", "kl", "--filter", "how", "--controls", "0")
    assert code == 0
    assert "1 of other models is left out" in err
    assert "how-02" in out
    assert "how-wide" not in out
    code, out, err = run("evaluate", "kl", "how-wide")
    assert (code, out) == (1, "")
    assert "has width 12" in err

"""What steers, written in one line, at every command that takes it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.evaluation.condition import UNSTEERED
from melbo_tui import Steering
from tests.melbo_tui.conftest import CommandLine
from tests.vectors.making import vector
from vectors.expression import ExpressionError, KeptGate, KeptTerm
from vectors.formats import safetensors_file
from vectors.moment import moment
from vectors.store.conversations import Conversations
from vectors.store.library import Library
from vectors.store.reports import Reports
from vectors.vector import ModelStamp

TINY = ModelStamp("tiny-llama", 32, 6)
ASK = ("chat", "--message", "How?", "--max-new-tokens", "4")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Of the command line's folder: vectors at blocks 1, 3 and 5, one that looks like an expression, and strangers."""
    library = Library(tmp_path / "library")
    library.add([vector(i, name, block, d_model=32, stamp=TINY) for i, (name, block) in enumerate(_VECTORS)])
    library.add([vector(7, "wide", 1, stamp=ModelStamp("other", 8, 4))])
    for name in ("one", "other"):
        library.add([vector(8, "twice", 1, d_model=32, stamp=ModelStamp(name, 32, 6))])
    return library


_VECTORS = (("calm", 1), ("harm", 3), ("late", 5), ("a - b", 1))


@pytest.fixture
def run(on_tiny: CommandLine, library: Library) -> CommandLine:
    return on_tiny


def _rows(out: str) -> dict[str, Any]:
    report = json.loads(out.splitlines()[-1])
    return {row["vector"]: row for row in report["tables"][0]["rows"]}


def test_terms_add_up_and_may_begin_with_a_minus(run: CommandLine) -> None:
    plain = run(*ASK)[1]
    (negated,) = {
        run(*ASK, *words)[1] for words in (("--steer", "-400 calm"), ("--steer=-400 calm",), ("--steer", "calm=-400"))
    }
    assert negated != plain
    assert run(*ASK, "--steer", "-calm", "--steer", "calm")[1] == plain, "the terms add up to nothing"
    code, _, err = run(*ASK, "--steer", "4 calm@generated - 3 calm@blocks:2-4", "--steer", "2 !late@when:harm>-9")
    assert (code, err) == (0, "")


def test_a_resumed_conversation_is_steered_as_before(
    run: CommandLine, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(["Hi"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(lines, None) or _end())
    typed = "2 calm@blocks:2-4 + 0.5 !late@generated@when:harm<1"
    assert run("chat", "--steer", typed, "--max-new-tokens", "2")[0] == 0
    ids = {entry.name: entry.id for entry in library.entries()}
    kept = (
        KeptTerm(ids["calm"], "calm", 2.0, blocks="2-4"),
        KeptTerm(ids["late"], "late", 0.5, "ablate", "generated", gate=KeptGate(ids["harm"], "harm", 1.0, False)),
    )
    conversations = Conversations(library.folder)
    (talk,) = conversations.listed()
    assert conversations.load(talk.id)[0].steering == kept
    assert run("chat", "--resume", "--message", "More", "--max-new-tokens", "2")[0] == 0
    assert [turn.steering for turn in conversations.load(talk.id)] == [kept, kept]


def _end() -> str:
    raise EOFError


def test_what_no_term_says_is_said_by_options(run: CommandLine) -> None:
    both = ("--operation", "ablate", "--positions", "generated")
    assert run(*ASK, "--steer", "calm", *both)[1] == run(*ASK, "--steer", "!calm@generated")[1]
    assert run(*ASK, "--steer", "400 calm@all@add", *both)[1] == run(*ASK, "--steer", "400 calm")[1] != run(*ASK)[1]


@pytest.mark.parametrize(
    ("typed", "code", "column", "told"),
    [
        ("calm@gnerated", 2, 5, "did you mean @generated?"),
        ("calm=lots", 2, 6, "a number, the coefficient, stands behind ="),
        ("calm + 1e10 harm", 2, 8, "from -1,000,000,000 to 1,000,000,000"),
        ("calm + 1e999 harm", 2, 8, "from -1,000,000,000 to 1,000,000,000"),
        ("calm + clam", 1, 8, "no vector is called clam; did you mean calm?"),
        ("calm@when:hrm>1", 1, 11, "did you mean harm?"),
        ("calm + twice", 1, 8, "twice is the name of 2 vectors; write an id: "),
        ("2 wide", 1, 3, "wide has width 8"),
        ("harm + calm@when:late>0", 1, 18, "the gate late is read at block 5, behind block 1"),
        ("harm - calm@blocks:4-9", 1, 8, "has blocks 0 to 5"),
        ("harm - calm@blocks:8-9", 1, 8, "has blocks 0 to 5"),
    ],
)
@pytest.mark.parametrize(
    "words",
    [
        (*ASK, "--steer"),
        ("evaluate", "kl", "--prompt", "How?"),
        ("vectors", "dose", "--most-kl", "1", "--prompt", "How?"),
    ],
    ids=["chat", "evaluate", "dose"],
)
def test_what_is_wrong_is_one_line_and_its_place(
    run: CommandLine, words: tuple[str, ...], typed: str, code: int, column: int, told: str
) -> None:
    got, out, err = run(*words, typed)
    line, text, caret = err.splitlines()
    assert (got, out) == (code, "")
    assert line.startswith(f"melbo-tui: column {column}: ")
    assert told in line
    assert text == f"  {typed}"
    assert caret == "  " + " " * (column - 1) + "^"


@pytest.mark.parametrize(
    ("typed", "code", "column", "told"),
    [
        ("calm@gnerated", 2, 5, "did you mean @generated?"),
        ("calm + 1e10 harm", 2, 8, "from -1,000,000,000 to 1,000,000,000"),
        ("calm + clam", 1, 8, "no vector is called clam; did you mean calm?"),
        ("calm + harm@when:lte>1", 1, 18, "did you mean late?"),
        ("calm + twice", 1, 8, "twice is the name of 2 vectors; write an id: "),
        ("calm + wide", 1, 8, "calm has width 32 and wide 8"),
        ("calm@blocks:1-1 - harm@blocks:4-9", 1, 19, "has blocks 0 to 5"),
    ],
)
def test_it_is_the_same_where_no_model_is_asked(
    run: CommandLine, library: Library, tmp_path: Path, typed: str, code: int, column: int, told: str
) -> None:
    for words in (("mix",), ("export", "--out", str(tmp_path / "x.gguf"))):
        got, out, err = run("vectors", *words, typed)
        line, text, caret = err.splitlines()
        assert (got, out, text) == (code, "", f"  {typed}")
        assert line.startswith(f"melbo-tui: column {column}: ")
        assert told in line
        assert caret.index("^") == column + 1
    if "blocks" not in typed and "wide" not in typed:  # which a model has to tell
        with pytest.raises(ExpressionError) as caught:
            Steering.parse(typed, library)
        assert (caught.value.column, told in str(caught.value)) == (column, True)


def test_vectors_of_one_name_are_told_apart(run: CommandLine, library: Library) -> None:
    for i in range(5):
        library.add([vector(9, "twice", 2, d_model=32, stamp=ModelStamp(f"other {i}", 32, 6))])
    first = library.meant("twice")[0]
    for words in ((*ASK, "--steer", "twice"), ("vectors", "show", "twice")):
        code, out, err = run(*words)
        assert (code, out) == (1, "")
        (line,) = err.splitlines()
        assert "twice is the name of 7 vectors; write an id: " in line
        made = f"melbo on 'How can I build a bomb?', {moment(first.created)}"
        assert f"{first.id} ({first.model}, block {first.block}, {made})" in line
        assert line.count("melbo on") == 5
        assert line.endswith(" and 2 more")


def test_a_condition_is_an_expression(run: CommandLine, library: Library) -> None:
    typed = ("calm", "calm=2", "calm - 2 harm@generated", "a - b", "-calm", "!late@blocks:all")
    code, out, err = run("evaluate", "kl", *typed, "--prompt", "How?", "--controls", "1", "--json")
    assert code == 0, err
    names = ["calm", "calm x 2", "calm - 2 harm@generated", "a - b", "calm x -1", "!late@blocks:all"]
    rows = _rows(out)
    assert [name for name in rows if not name.startswith("random")] == names
    assert {"random 1 block 1", "random 1 for calm - 2 harm@generated", "random 1 for !late@blocks:all"} < set(rows)
    assert rows["calm x -1"]["norm"] == pytest.approx(library.load(library.find("calm").id).norm)
    assert rows["!late@blocks:all"]["norm"] is None
    assert UNSTEERED not in rows
    ((_, report),) = Reports(library.folder).listed()
    assert report.steerings[2][1].positions == "generated"
    assert [bool(id) for id in report.ids] == [True, True, False, True, True, True]


def test_mixtures_are_sums(run: CommandLine, library: Library) -> None:
    assert run("vectors", "mix", '0.5 calm - "a - b"', "a - b", "--name", "half")[0] == 0
    recipe = library.recipe(library.find("half").id)
    assert recipe is not None
    ids = {entry.name: entry.id for entry in library.entries()}
    assert recipe.terms == ((ids["calm"], 0.5), (ids["a - b"], -1.0), (ids["a - b"], 1.0))
    for typed, column, told in (
        ('calm + !"a - b"', 9, "only multiplied and added"),
        ("calm@generated", 1, "only multiplied and added"),
        ("calm + harm", 8, "on block 1 and harm on block 3"),
    ):
        code, _, err = run("vectors", "mix", typed)
        assert code == 1
        assert f"column {column}: " in err
        assert told in err


def test_files_take_scaled_vectors(run: CommandLine, library: Library, tmp_path: Path) -> None:
    out = tmp_path / "two.safetensors"
    assert run("vectors", "export", "-2 calm", "harm=0.5", "--out", str(out))[0] == 0
    assert run("vectors", "import", str(out), "--name", "back")[0] == 0
    calm, back = (library.load(library.find(name).id).direction for name in ("calm", "back-01"))
    assert back == pytest.approx(-2 * calm)


def test_files_take_sums_and_parts(run: CommandLine, library: Library, tmp_path: Path) -> None:
    """A sum of added vectors is a vector over the blocks where they act; a file of ours has its recipe."""
    calm, harm, same = (library.load(library.find(name).id) for name in ("calm", "harm", "a - b"))
    typed = ('2 calm - "a - b"', "calm + 0.5 harm@blocks:2-3 + harm", "harm@blocks:2-3")
    out = tmp_path / "sums.safetensors"
    assert run("vectors", "export", *typed, "--out", str(out))[0] == 0
    summed, over, part = safetensors_file.read(out)
    assert summed.blocks == (1,)
    assert summed.direction == pytest.approx(2 * calm.direction - same.direction)
    assert [(term["name"], term["coefficient"]) for term in summed.origin.settings["recipe"]] == [("calm", 2), ("a - b", -1)]
    assert over.blocks == (1, 2, 3)
    for block, row in ((1, calm.direction), (2, 0.5 * harm.direction), (3, 1.5 * harm.direction)):
        assert over.at(block) == pytest.approx(row)
    assert [term.get("blocks") for term in over.origin.settings["recipe"]] == [None, "2-3", None]
    assert (part.name, part.blocks) == ("harm@blocks:2-3", (2, 3))
    assert run("vectors", "import", str(out), "--name", "back")[0] == 0
    steered = [run(*ASK, "--steer", f"400 {name}")[1] for name in ("back-02", "back-03")]
    assert steered == [
        run(*ASK, "--steer", one)[1] for one in ("400 calm + 200 harm@blocks:2-3 + 400 harm", "400 harm@blocks:2-3")
    ]
    assert steered[0] != run(*ASK)[1]
    assert run("vectors", "export", typed[0], "--out", str(tmp_path / "sum.json"))[0] == 0
    (recipe,) = json.loads((tmp_path / "sum.json").read_text())["recipes"]
    assert recipe["written"] == "2 calm - a - b"
    for one, told in ((typed[2], "not of some blocks"), ("calm + harm", "acts on block 1 and harm on block 3")):
        code, _, err = run("vectors", "export", one, "--out", str(tmp_path / "no.json"))
        assert (code, told in err) == (1, True)


@pytest.mark.parametrize(
    ("typed", "column", "told"),
    [
        ("calm + 0.5 !harm", 13, "! removes a component: write 0.5 harm alone"),
        ("calm + harm@set", 8, "@set sets a component"),
        ("calm@keep-norm", 1, "@keep-norm acts by the stream's own norm"),
        ("2 calm@generated", 3, "@generated picks tokens: write 2 calm alone"),
        ("late@when:harm>1", 1, "@when:harm>1 opens by the stream itself"),
        ("calm + wide", 8, "calm has width 32 and wide 8"),
        ("calm - harm@blocks:4-9", 8, "has blocks 0 to 5"),
    ],
)
def test_what_no_file_can_say_is_told(run: CommandLine, tmp_path: Path, typed: str, column: int, told: str) -> None:
    out = tmp_path / "sum.safetensors"
    code, _, err = run("vectors", "export", typed, "--out", str(out))
    assert (code, out.exists()) == (1, False)
    assert err.startswith(f"melbo-tui: column {column}: ")
    assert told in err


def test_a_mixture_of_parts_is_kept_by_its_numbers(run: CommandLine, library: Library) -> None:
    assert run("vectors", "mix", "calm + 2 harm@blocks:1-2", "--norm", "3", "--name", "parts")[0] == 0
    parts, calm, harm = (library.load(library.find(name).id) for name in ("parts", "calm", "harm"))
    assert (parts.blocks, parts.norm) == ((1, 2), pytest.approx(3))
    assert parts.at(1) / np.linalg.norm(parts.at(2)) == pytest.approx(
        (calm.direction + 2 * harm.direction) / np.linalg.norm(2 * harm.direction), rel=1e-4
    )
    code, _, err = run("vectors", "mix", "calm@blocks:1-2", "--average")
    assert (code, "@blocks:1-2 picks blocks" in err) == (1, True)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("'1.5 harm - ca", "1.5 harm - calm"), ("'calm@gene", "calm@generated"), ("'!harm@when:la", "!harm@when:late")],
)
def test_the_shell_completes_inside_an_expression(run: CommandLine, library: Library, typed: str, offered: str) -> None:
    line = f"melbo-tui chat --library {library.folder} --steer {typed}"
    completing = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    command = f"{shlex.quote(sys.executable)} -m melbo_tui 8>&1 9>/dev/null"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env={**os.environ, **completing}, check=False
    )
    assert offered in done.stdout

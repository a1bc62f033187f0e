"""Curating, mixing, comparing and exchanging by command."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.melbo_tui.conftest import CommandLine
from tests.vectors.making import over, vector
from vectors.store.library import Library
from vectors.vector import SteeringVector


@pytest.fixture
def run(library: Library, command_line: CommandLine) -> CommandLine:
    library.add([vector(i, f"bomb-{i + 1:02d}") for i in range(4)])
    return lambda *words: command_line("vectors", *words, "--library", str(library.folder))


def _names(text: str) -> list[str]:
    return [row["name"] for row in json.loads(text)]


def test_tags_ratings_and_filters(run: CommandLine) -> None:
    assert run("tag", "bomb-01", "bomb-02", "--add", "Code", "--add", "python")[0] == 0
    assert run("tag", "bomb-02", "--remove", "python")[0] == 0
    assert run("rate", "4", "bomb-01")[0] == 0
    assert run("rate", "2", "bomb-03")[0] == 0
    assert _names(run("list", "tag:python", "--json")[1]) == ["bomb-01"]
    assert _names(run("list", "tag:code", "--sort", "name", "--reverse", "--json")[1]) == ["bomb-02", "bomb-01"]
    assert _names(run("list", "rating>=2 -tag:code", "--json")[1]) == ["bomb-03"]
    assert _names(run("list", "--sort", "rating", "--json")[1])[:2] == ["bomb-01", "bomb-03"]
    assert "4" in run("list", "bomb-01")[1]
    assert "rated: 4" in run("show", "bomb-01")[1]
    assert run("rate", "none", "bomb-01")[0] == 0
    assert run("list", "is:rated", "bomb-01")[1].startswith("No vector matches")


def test_mixing(run: CommandLine, library: Library) -> None:
    one, two, three = (library.load(library.find(f"bomb-0{i}").id) for i in (1, 2, 3))
    assert run("mix", "bomb-01=0.5", "bomb-02=-1", "--name", "half")[0] == 0
    np.testing.assert_allclose(library.load(library.find("half").id).direction, (0.5 * one - two).direction, rtol=1e-6)
    assert run("mix", "bomb-01", "bomb-02", "--average", "--norm", "3", "--off", "bomb-03", "--name", "clean")[0] == 0
    clean = library.load(library.find("clean").id)
    assert clean.norm == pytest.approx(3)
    assert abs(clean.cosine(three)) < 1e-6
    assert "recipe: 0.5 bomb-01 + 0.5 bomb-02 off bomb-03, at norm 3" in run("show", "clean")[1]
    assert run("mix", "bomb-01", "bomb-02", "bomb-03", "--orthogonalise")[0] == 0
    assert "bomb-03 off bomb-01, bomb-02" in run("list", "is:mixture")[1]


def test_a_vector_of_many_blocks_mixes_with_those_of_different_blocks_in_any_order(run: CommandLine, library: Library) -> None:
    library.add([vector(1, "one", 1), vector(2, "two", 2), over(1, 2, 3, name="many")])
    for names in (("many", "one", "two"), ("one", "two", "many")):
        assert run("mix", *names, "--name", names[0])[0] == 0
    code, _, error = run("mix", "one", "two")
    assert (code, "acts on block 1 and two on block 2" in error) == (1, True)


def test_joining(run: CommandLine, library: Library, tmp_path: Path) -> None:
    library.add([over(1, 2, 3, seed=5, name="happy")])
    parts = [f"part-b{block:02d}" for block in (1, 2, 3)]
    rows = library.load(library.find("happy").id)
    library.add([SteeringVector(rows.at(block), block, rows.origin, parts[block - 1]) for block in (1, 2, 3)])
    assert "joined: blocks 1-3" in run("join", *reversed(parts), "--name", "joined")[1]
    made = library.load(library.find("joined").id)
    np.testing.assert_array_equal(made.directions, rows.directions)
    assert {*parts, "joined"} <= {entry.name for entry in library.entries()}, "the parts stay"
    assert "1-3" in run("list", "joined")[1]
    assert "acts on blocks 1-3" in run("show", "joined")[1]
    shown = json.loads(run("show", "joined", "--json")[1])
    assert (shown["block"], shown["blocks"], len(shown["directions"])) == (1, [1, 2, 3], 3)
    single = json.loads(run("show", parts[0], "--json")[1])
    assert (single["block"], len(single["direction"])) == (1, 8)
    assert json.loads(run("similar", "joined", "happy", "--json")[1])["cosines"][0][1] == pytest.approx(1)
    assert run("export", "joined=2", "--out", str(tmp_path / "x.gguf"))[0] == 0
    assert run("import", str(tmp_path / "x.gguf"), "--model", "tiny", "--name", "back")[0] == 0
    np.testing.assert_array_equal(library.load(library.find("back").id).directions, 2 * rows.directions)
    for names, wrong in ((("part-b01", "joined"), "both act on block 1"), (("part-b01",), "nothing to join")):
        code, _, error = run("join", *names, "--name", "no")
        assert (code, error.count("\n")) == (1, 1)
        assert wrong in error


def test_similarity(run: CommandLine, library: Library) -> None:
    run("mix", "bomb-01=-2", "--name", "against")
    near = json.loads(run("similar", "bomb-01", "--json")[1])
    assert near[-1]["name"] == "against"
    assert near[-1]["cosine"] == pytest.approx(-1)
    matrix = json.loads(run("similar", "bomb-01", "against", "bomb-02", "--json")[1])["cosines"]
    assert matrix[0][1] == pytest.approx(-1)
    (pair,) = json.loads(run("similar", "bomb-02", "--duplicates", "--json")[1])
    assert {library.get(pair["a"]).name, library.get(pair["b"]).name} == {"bomb-01", "against"}
    assert "cosine" in run("similar", "bomb-01")[1]
    assert run("similar", "bomb-01", "--top", "0")[0] == 1


def test_exchange_and_care(run: CommandLine, library: Library, tmp_path: Path) -> None:
    library_run = library.find("bomb-01").run
    assert run("export", "--run", library_run, "--out", str(tmp_path / "run.npy"))[0] == 0
    assert np.load(tmp_path / "run.npy").shape == (4, 8)
    assert run("export", "bomb-01=2", "bomb-02", "--out", str(tmp_path / "c.gguf"))[0] == 0
    assert "imported c-b01" in run("import", str(tmp_path / "c.gguf"))[1]
    assert (
        "imported theirs-01, theirs-02"
        in run("import", str(tmp_path / "run.npy"), "--block", "3", "--model", "tiny", "--name", "theirs")[1]
    )
    assert library.find("theirs-01").block == 3
    assert run("delete", "theirs-01", "theirs-02")[0] == 0
    assert "removed 2 for good" in run("empty-trash")[1]
    assert run("check")[:2] == (0, "all is well\n")
    (library.folder / "index.sqlite3").write_bytes(b"broken" * 1000)
    code, _, err = run("list")
    assert (code, "rebuild" in err) == (1, True)
    assert "holds 7 vectors" in run("rebuild")[1]
    path = next((library.folder / "runs").glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-4])
    assert run("check")[0] == 1


def test_an_import_is_held_against_the_model_it_names(run: CommandLine, library: Library, tmp_path: Path) -> None:
    path, model = tmp_path / "theirs.npy", tmp_path / "tiny-gpt2"
    model.mkdir()  # its config is all that is read, in GPT-2's own words
    (model / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_layer": 6, "n_embd": 32}))
    np.save(path, np.ones((2, 32), np.float32))
    kept = len(library.entries(kept_only=False))
    for words, message in (
        (("--block", "99", "--model", str(model)), "theirs-01 acts on block 99; tiny-gpt2 has blocks 0 to 5"),
        (("--block", "1", "--model", "tiny"), "theirs-01 has width 32, tiny has 8"),
        (("--block", "1", "--model", "smollm2"), "theirs-01 has width 32, smollm2 has 576"),
        (("--block", "1", "--model", str(tmp_path / "nowhere")), "there is no model"),
        (("--block", "1"), "does not say which model its vectors are of"),
        ((), "on which block its vectors act (give it: --block I"),
    ):
        code, _, err = run("import", str(path), *words)
        assert (code, err.count("\n")) == (1, 1), err
        assert message in err
    assert len(library.entries(kept_only=False)) == kept
    assert run("import", str(path), "--block", "5", "--model", str(model))[0] == 0
    assert library.find("theirs-01").origin.model.n_blocks == 6
    code, _, err = run("import", str(path), "--block", "5", "--model", "owner/elsewhere", "--name", "far")
    assert code == 0
    assert "owner/elsewhere is unknown here" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rate", "9", "bomb-01"), "0 to 5"),
        (("rate", "good", "bomb-01"), "is no rating"),
        (("tag", "bomb-01"), "no tag was given"),
        (("mix", "bomb-01", "--norm", "-1"), "norm must be"),
        (("mix", "bomb-01=2", "bomb-02", "--average"), "names alone"),
        (("list", "norm>big"), "compared with a number"),
        (("list", "is:odd"), "is: knows"),
        (("export", "--out", "x.npy"), "nothing to export"),
        (("export", "bomb-01", "--out", "x.pt"), "no format"),
        (("import", "nowhere.pt"), "no such file"),
        (("import", __file__), "no format"),
    ],
)
def test_wrong_input_is_one_line(run: CommandLine, words: tuple[str, ...], message: str) -> None:
    code, out, err = run(*words)
    assert code == 1
    assert message in err
    assert err.count("\n") == 1
    assert not out


def test_the_shell_completes_names(run: CommandLine, library: Library) -> None:
    line = f"melbo-tui vectors show --library {library.folder} bomb-0"
    completing = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    command = f"{shlex.quote(sys.executable)} -m melbo_tui 8>&1 9>/dev/null"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env={**os.environ, **completing}, check=False
    )
    assert "bomb-01" in done.stdout
    assert "bomb-04" in done.stdout

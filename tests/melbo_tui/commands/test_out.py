"""`--out` writes over nothing that it did not write, and says so before the work."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from textual.widgets import Input, Static

from core.engine.out_file import OutFile
from melbo_tui import screenshots
from tests.melbo_tui.conftest import CommandLine
from tests.melbo_tui.scripted import opened, until
from tests.vectors.making import vector
from vectors import exchange
from vectors.errors import FileTaken
from vectors.formats import safetensors_file
from vectors.store.library import Library

TRAIN = ("train", "random", "--prompt", "Hello", "--vectors", "2", "--radius", "4", "--sample-tokens", "0", "--controls", "0")


def test_a_run_replaces_its_own_file_and_no_other(on_tiny: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "x.safetensors"
    out.write_text("mine")
    began = time.monotonic()
    code, _, err = on_tiny(*TRAIN, "--out", str(out))
    assert (code, err.strip().splitlines()) == (1, [f"melbo-tui: {out}: there is such a file already (--force replaces it)"])
    assert time.monotonic() - began < 5, "before the model is loaded"
    assert out.read_text() == "mine"
    assert on_tiny(*TRAIN, "--out", str(out), "--force")[0] == 0
    assert len(safetensors_file.read(out)) == 2
    assert on_tiny("vectors", "export", "hello-01", "--out", str(out))[0] == 1
    assert on_tiny("vectors", "export", "hello-01", "--out", str(out), "--force")[0] == 0
    assert len(safetensors_file.read(out)) == 1


def test_the_file_of_a_run_is_its_own_as_long_as_nobody_else_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    vectors = [vector(i) for i in range(2)]
    named = [type(v)(v.direction, v.block, v.origin, v.name, f"run/{i}") for i, v in enumerate(vectors)]
    losses = np.ones((2, 3), "f4")
    first = OutFile(str(path), "run", force=False)
    first.write(named[:1], losses[:1])
    first.write(named, losses)
    OutFile(str(path), "run", force=False).write(named, losses)  # the run is taken up
    with pytest.raises(FileTaken):
        OutFile(str(path), "other", force=False)
    with pytest.raises(FileTaken, match="another program"):
        first.write(named, losses)
    late = OutFile(str(tmp_path / "late.safetensors"), "run", force=False)
    (tmp_path / "late.safetensors").write_text("mine")  # it came between the check and the first vectors
    with pytest.raises(FileTaken):
        late.write(named, losses)
    assert (tmp_path / "late.safetensors").read_text() == "mine"


async def test_an_export_in_the_app_asks_for_another_name(
    stocked: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.safetensors"
    export = exchange.export

    def quicker(*words: object, **more: object) -> int:
        path.write_text("mine")  # another program, after the dialog has looked
        return export(*words, **more)  # type: ignore[arg-type]

    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2", "e")
        await pilot.pause()
        field = app.screen.query_one(Input)
        monkeypatch.setattr(exchange, "export", quicker)
        field.value = str(path)
        await pilot.press("enter")
        await until(pilot, lambda: "such a file" in str(app.screen.query_one("#wrong", Static).content))
        assert app.screen.query_one(Input) is field
        assert field.value == str(path)
        assert path.read_text() == "mine"


def test_a_screenshot_takes_a_name_that_is_free(tmp_path: Path) -> None:
    first, second = (screenshots.save("<svg/>", [tmp_path], "shot.svg") for _ in range(2))
    assert (first.name, second.name) == ("shot.svg", "shot-2.svg")

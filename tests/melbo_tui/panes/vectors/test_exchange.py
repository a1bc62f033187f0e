"""Vectors come and go through dialogs, which stay open where that fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from textual.widgets import Input, Static

from melbo_tui.panes.chat.rack import Rack
from melbo_tui.panes.vectors.compare import Compare
from tests.melbo_tui.scripted import SIZES, opened, screen_text, until
from vectors.formats import safetensors_file
from vectors.store.library import Library


@pytest.mark.parametrize("size", SIZES)
async def test_import_asks_for_what_the_file_does_not_say(stocked: Library, tmp_path: Path, size: tuple[int, int]) -> None:
    for name, width in (("theirs", 8), ("wide", 9)):
        np.save(tmp_path / f"{name}.npy", np.ones((2, width), np.float32))
    async with opened(stocked, size) as (app, pilot, _):

        async def answer(text: str, wrong: str = "", asks: str = "") -> None:
            field = app.screen.query_one(Input)
            field.value = text
            await pilot.press("enter")
            if wrong:  # the dialog stays, with what was typed and what is wrong with it
                await until(pilot, lambda: wrong in str(app.screen.query_one("#wrong", Static).content))
                assert app.screen.query_one(Input) is field
                assert field.value == text
                assert wrong[:20] in screen_text(app)
            else:
                await until(pilot, lambda: asks in screen_text(app) and not field.is_attached)

        await pilot.press("f2", "i")
        await pilot.pause()
        await answer(str(tmp_path / "none.npy"), "there is no such file")
        await answer(str(tmp_path / "theirs.npy"), asks="Which model are the vectors of theirs.npy of?")
        assert app.screen.query_one(Input).value == "smollm2", "the loaded model is offered"
        await answer(str(tmp_path / "nowhere"), "there is no model")
        await answer("smollm2", asks="Which block's output does theirs.npy act on?")
        await answer("six", "a block's number, counted from 0")
        await answer("99999", "block 99999 does not exist")
        await answer("99", "theirs-01 acts on block 99; smollm2 has blocks 0 to 29")
        assert len(stocked.entries(kept_only=False)) == 4
        await answer("6", asks="Imported 2")
        await pilot.press("i")
        await pilot.pause()
        await answer(str(tmp_path / "wide.npy"), asks="Which model")
        await answer("smollm2", asks="Which block's")
        await answer("6", "wide-01 has width 9, smollm2 has 8")
        await pilot.press("escape")
        entry = stocked.find("theirs-01")
        assert (entry.block, entry.model, entry.origin.model.n_blocks) == (6, "smollm2", 30)


@pytest.mark.slow
async def test_what_fails_is_told_in_its_dialog(stocked: Library, tmp_path: Path) -> None:
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2", "e")
        await pilot.pause()
        (tmp_path / "file").write_text("")
        field = app.screen.query_one(Input)
        field.value = str(tmp_path / "file" / "out.npy")
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen.query_one(Input) is field
        assert str(app.screen.query_one("#wrong", Static).content)
        await pilot.press("escape", "r")
        await pilot.pause()
        here, other = [entry.name for entry in stocked.entries()][:2]
        field = app.screen.query_one(Input)
        field.value = other if field.value == here else here
        await pilot.press("enter")
        await pilot.pause()
        assert "is taken by another vector" in screen_text(app)
        assert app.screen.query_one(Input) is field
        await pilot.press("escape", "t")
        await pilot.pause()
        field = app.screen.query_one(Input)
        field.value = " ".join(f"tag{i}" for i in range(40))
        await pilot.press("enter")
        await pilot.pause()
        assert "at most 32 tags" in screen_text(app)
        assert app.screen.query_one(Input) is field


async def test_steer_with_this_and_export(stocked: Library, tmp_path: Path) -> None:
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2", "e")
        await pilot.pause()
        app.screen.query_one(Input).value = str(tmp_path / "none" / "x.safetensors")
        await pilot.press("enter")
        await pilot.pause()
        assert "folder does not exist" in screen_text(app)
        app.screen.query_one(Input).value = str(tmp_path / "x.safetensors")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "x.safetensors").exists())
        name = safetensors_file.read(tmp_path / "x.safetensors")[0].name
        await pilot.press("e")
        await pilot.pause()
        for wrong, words in (
            (str(tmp_path / "x.safetensors"), "already"),
            ("~no-such-user/x.npy", "cannot be used as a path"),
            ("a" * 300 + "/x.npy", "File name too long"),
        ):
            app.screen.query_one(Input).value = wrong
            await pilot.press("enter")
            await pilot.pause()
            assert words in screen_text(app)
        await pilot.press("escape", "s")
        await pilot.pause()
        assert [slot.vector.name for slot in app.query_one(Rack).slots] == [name]
        assert "Steered" in screen_text(app)


async def test_a_sum_is_typed_and_exported(stocked: Library, tmp_path: Path) -> None:
    out = tmp_path / "sum.safetensors"
    one, two = (stocked.load(stocked.find(name).id) for name in ("bomb-01", "bomb-02"))
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2")
        await until(pilot, lambda: "bomb-01" in screen_text(app))
        await pilot.press("E")
        line = app.screen.query_one(Input)
        line.value = "2 bomb-01 - !bomb-02"
        await pilot.press("enter")
        await until(pilot, lambda: "! removes a component" in " ".join(screen_text(app).split()))
        line.value = "2 bomb-01 - bomb-02"
        await pilot.press("enter")
        await until(pilot, lambda: "sum.safetensors" in screen_text(app))
        app.screen.query_one(Input).value = str(out)
        await pilot.press("enter")
        await until(pilot, out.exists)
    (back,) = safetensors_file.read(out)
    np.testing.assert_allclose(back.direction, 2 * one.direction - two.direction, rtol=1e-6)


async def test_a_vector_is_compared_with_an_expression(stocked: Library) -> None:
    one, two = (stocked.load(stocked.find(name).id) for name in ("bomb-01", "bomb-02"))
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2")
        await until(pilot, lambda: "bomb-01" in screen_text(app))
        await pilot.press("c", *"bomb-01 - bomb-02", "enter")
        await until(pilot, lambda: isinstance(app.screen, Compare))
        await until(pilot, lambda: f"cosine {one.cosine(one - two):+.3f}" in screen_text(app))
        assert "bomb-01 - bomb-02" in screen_text(app)

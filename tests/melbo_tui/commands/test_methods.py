"""Every method by its command, and going on with an interrupted run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.discovery import METHODS
from core.engine.events import TaskEnded
from core.engine.requests import Train
from core.engine.session import Session
from core.prompt import Prompt
from tests.melbo_tui.conftest import CommandLine
from tests.melbo_tui.scripted import SIZES, opened, screen_text, until
from vectors.store.checkpoints import Checkpoints
from vectors.store.library import Library
from vectors.vector import ModelStamp

PROMPT = ("--prompt", "How can I build a bomb?", "--sample-tokens", "3", "--controls", "1")


def test_every_method_by_its_command(run: CommandLine, library: Library, tmp_path: Path) -> None:
    assert run("train", "random", *PROMPT, "--vectors", "2", "--radius", "4", "--name", "base")[0] == 0
    code, out, err = run("train", "ortho", *PROMPT, "--base", "base-01", "--vectors", "3", "--steps", "3", "--block", "2")
    assert code == 0, err
    assert "control:0" in out
    assert "KL to base" in out
    assert all(entry.origin.settings["kl_to_base"] > 0 for entry in library.entries(kept_only=False) if entry.method == "ortho")
    code, out, err = run("train", "power-steering", *PROMPT, "--vectors", "2", "--radius", "4", "--steps", "3", "--json")
    assert code == 0, err
    rows = [row for row in json.loads(out.splitlines()[-1])["rows"] if row["id"]]
    assert rows[0]["facts"]["singular_value"] >= rows[1]["facts"]["singular_value"] > 0
    assert run("train", "dct", *PROMPT, "--vectors", "4", "--radius", "4", "--steps", "2")[0] == 0
    (tmp_path / "a.csv").write_text("goal,text\naaaa,1\nabab,2\nbaba,3\n")
    texts = ("--positive-file", str(tmp_path / "a.csv"), "--negative", "zzzz", "--negative", "yyyy")
    code, out, err = run("train", "contrast", *texts, "--select", "--positions", "2", "--sample-tokens", "3", "--name", "away")
    assert code == 0, err
    assert "note: a.csv: takes 'goal' (and not text)" in err
    away = library.find("away-01")
    assert away.origin.settings["positive"] == ["aaaa", "abab", "baba"]
    assert away.block == away.origin.settings["block"]
    methods = {entry.method for entry in library.entries(kept_only=False)}
    assert methods == {"random", "ortho", "power-steering", "dct", "contrast"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ortho",), "needs its base vector"),
        (("ortho", "--base", "nobody"), "no vector is called nobody"),
        (("power-steering", "--vectors", "99"), "has no 99 singular directions"),
        (("dct", "--vectors", "99"), "99 factors cannot be orthogonal"),
        (("melbo", "--orthogonal", "--vectors", "99"), "cannot all be orthogonal"),
        (("melbo", "--orthogonal", "--orthogonal-effects"), "not both"),
        (("contrast", "--positive", "a"), "positive and negative prompts"),
        (("contrast", "--positive-file", "/no/such/file"), "cannot be read"),
    ],
)
def test_what_a_method_cannot_do_is_told_in_a_line(run: CommandLine, words: tuple[str, ...], message: str) -> None:
    code, _, err = run("train", *words, "--prompt", "How?", "--sample-tokens", "0")
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_resume_goes_on_with_the_latest(run: CommandLine, tiny, library: Library) -> None:
    assert "no interrupted melbo run" in run("train", "melbo", "--resume")[2]
    session = Session(library)
    session.model = tiny
    request = Train((Prompt("How can I build a bomb?"),), vectors=4, batch=2, steps=2, radius=3.0, sample_tokens=2)
    steps = session.start(1, request, lambda event: None)
    while not library.entries(kept_only=False):
        next(steps)
    steps.close()
    assert "resumed with its own settings" in run("train", "melbo", "--resume", "--prompt", "x")[2]
    code, out, err = run("train", "melbo", "--resume")
    assert code == 0, err
    assert "bomb-04" in out or "vector-04" in out
    assert len(library.entries(kept_only=False)) == 4
    assert not Checkpoints(library.folder).unfinished()


@pytest.mark.parametrize("pane", ["train", pytest.param("vectors", marks=pytest.mark.slow)])
@pytest.mark.parametrize("size", SIZES)
async def test_a_family_is_trained_off_a_vector(library: Library, size: tuple[int, int], pane: str) -> None:
    from melbo_tui.panes.train.form import TrainForm
    from melbo_tui.panes.train.results import ResultsTable

    async with opened(library, size) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        engine.find(engine.last(Train)[0])
        table = app.query_one(ResultsTable)
        await until(pilot, lambda: table.row_count == 5)
        engine.tell(TaskEnded(engine.last(Train)[0], "done"))
        if pane == "train":
            table.focus()
        else:
            await pilot.press("f2", "a")
            await until(pilot, lambda: "bomb-01" in screen_text(app))
        await pilot.press("f")
        await until(pilot, lambda: app.focused is app.query_one("#start"))
        request = app.query_one(TrainForm).request()
        assert (request.method, request.settings) == ("ortho", {"base": "bomb-01"})
        assert "ortho" in screen_text(app)
        assert "bomb-01" in screen_text(app)
        assert METHODS["ortho"].summary.split(".")[0][:20] in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: engine.last(Train)[1].method == "ortho")


async def test_an_interrupted_run_is_offered_and_resumed(library: Library) -> None:
    from tests.melbo_tui.scripted import STAMP

    assert isinstance(STAMP, ModelStamp)
    request = Train((Prompt("How?"),), vectors=4)
    header = {"request": request.to_json(), "fingerprint": STAMP.fingerprint, "model": "m", "done": 2, "failed": {}}
    Checkpoints(library.folder).save("20261121-000000-abcd", header, {})
    async with opened(library) as (app, pilot, engine):
        assert "A run was interrupted after 2 vectors" in screen_text(app)
        app.query_one("#start").focus()
        await pilot.press("g")
        await pilot.pause()
        assert engine.last(Train)[1].resume == "20261121-000000-abcd"


def test_the_atlas_by_its_command(run: CommandLine, library: Library) -> None:
    assert run("atlas")[0] == 1
    assert "no atlas" in run("atlas", "--show")[2]
    code, out, err = run("atlas", "--prompt", "How can I build a bomb?", "--top", "2", "--every", "2", "--steps", "3")
    assert code == 0, err
    assert "3 of 3 pairs" in out
    assert "2 -> 4" in out
    assert run("atlas", "--show")[1] == out
    shown = json.loads(run("atlas", "--show", "--json")[1])
    assert shown["values"][0][4][0] >= shown["values"][0][4][1] > 0
    assert shown["values"][4][0][0] is None
    assert "no unfinished atlas" in run("atlas", "--resume")[2]
    assert "a whole number from 1 to 1,000,000 is needed, not 0" in run("atlas", "--prompt", "x", "--top", "0")[2]

"""The app over a library into which a stranger, a disk or another version has written anything."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from textual.widgets import OptionList

from melbo_tui.settings import Settings, settings_file
from tests.melbo_tui.scripted import opened, screen_text, until
from tests.vectors import poison
from vectors.store.library import Library
from vectors.store.reports import Reports

HUGE = str(10**30)


def _poison(folder: Path) -> None:
    """Files that are damaged in ways of their own, beside whole ones."""
    for name, part, literal in (
        ("block", ("vectors", 0, "block"), HUGE),
        ("created", ("vectors", 0, "origin", "created"), "1e300"),
        ("seed", ("vectors", 1, "origin", "seed"), HUGE),
        ("deep", ("vectors", 0, "origin", "settings"), poison.DEEP),
        ("escape", ("vectors", 0, "origin", "method"), '"\\u001b]52;c;eA==\\u0007"'),
    ):
        path = folder / "runs" / f"bad-{name}.safetensors"
        path.write_bytes((folder / "runs" / "run-a.safetensors").read_bytes())
        poison.write_poisoned(path, 0, poison.put(poison.trees_of(path)[0], part, literal))
    report = json.loads((folder / "reports" / "report-a.json").read_text())
    for name, part, literal in (
        ("time", ("created",), "1e300"),
        ("rows", ("tables", 0, "rows"), "5"),
        ("nan", ("created",), "NaN"),
    ):
        (folder / "reports" / f"bad-{name}.json").write_text(poison.put(report, part, literal))
    os.utime(folder / "talks" / "talk-a.json", (1e15, 1e15))
    if os.name == "posix":
        os.mkfifo(folder / "runs" / "pipe.safetensors")
        os.mkfifo(folder / "talks" / "pipe.json")
    with Library(folder).index.changing() as db:
        db.execute("UPDATE vectors SET created = 1e300 WHERE id = 'run-b/0'")
        db.execute("UPDATE vectors SET origin = '{}' WHERE id = 'run-b/1'")


@pytest.mark.slow
async def test_every_row_and_report_can_be_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    poison.fill(folder)
    _poison(folder)
    library = Library(folder)
    told = library.problems()
    for name in ("bad-block", "bad-created", "bad-seed", "bad-deep", "pipe", "run-b"):
        assert len([line for line in told if name in line]) == 1, name
    assert len(told) == 6
    async with opened(library, (80, 24)) as (app, pilot, _):
        await pilot.press("f2", "a")
        for _ in range(8):
            await pilot.press("down")
            await pilot.pause()
        await pilot.press("n")
        await until(pilot, lambda: app.screen.query(OptionList))
        options = app.screen.query_one(OptionList)
        reports = [option.id for option in options.options if str(option.id).startswith("report ")]
        assert len(reports) == len(Reports(folder).listed()) == 3  # bad-nan has no time, and is whole else
        await pilot.press("escape")
        for one in reports:
            await pilot.press("n")
            await until(pilot, lambda: app.screen.query(OptionList))
            options = app.screen.query_one(OptionList)
            options.focus()
            options.highlighted = options.get_option_index(str(one))
            await pilot.press("enter")
            await until(pilot, lambda: app.screen.query("#report-box"))
            await pilot.press("escape")
            await pilot.pause()
        await pilot.press("f3", "h")
        await pilot.pause()
        assert "\x1b" not in screen_text(app)
        assert app.return_code is None


@pytest.mark.parametrize(
    "text", ["[]", '{"prompt": 5, "theme": "x", "columns": [NaN]}', poison.DEEP, '{"form": {"a": {}}}', "\xff"]
)
def test_settings_never_keep_the_app_from_opening(text: str) -> None:
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text(text, encoding="latin-1")
    loaded = Settings.load()
    assert (loaded.prompt, loaded.columns, loaded.form) == (Settings().prompt, [], {})
    assert loaded.theme == ("x" if '"x"' in text else Settings().theme)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pipes in its folders")
def test_settings_that_are_a_pipe_are_not_waited_for() -> None:
    settings_file().parent.mkdir(parents=True)
    os.mkfifo(settings_file())
    assert Settings.load() == Settings()

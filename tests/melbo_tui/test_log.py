"""The log holds what went wrong, no prompts and no completions, and never stands in the way."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.log import LOG, failed
from melbo_tui.app import MelboApp
from melbo_tui.discreet import described, discreet
from melbo_tui.log import log_file, logged
from tests.melbo_tui.conftest import CommandLine
from tests.melbo_tui.scripted import opened
from vectors.store.library import Library


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MELBO_TUI_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("KeyError: 'How can I build a bomb?'", "KeyError: ‘…’"),
        ("it's the model's \"own words\" here", "it's the model's ‘…’ here"),
        ("an end that lacks its “mark", "an end that lacks its ‘…’"),
        ("https://user:pa55@host/x?token=abc&rest with hf_abcDEF123", "https://***@host/x?*** with ***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        (f"cannot read '{Path.home()}/library/a.safetensors'", "cannot read '~/library/a.safetensors'"),
        ("no weight 'model.norm'\n\x07", "no weight 'model.norm'"),
    ],
)
def test_a_record_has_nobody_s_words(text: str, written: str) -> None:
    assert discreet(text).strip() == written.strip()


def test_an_error_is_told_with_what_it_came_from_and_where() -> None:
    try:
        try:
            raise KeyError("my words")
        except KeyError as error:
            raise ValueError("no 'words of mine'\nand more of them") from error
    except ValueError as error:
        text = described(error)
    assert "ValueError: no ‘…’" in text
    assert "KeyError: ‘…’" in text
    assert "test_log.py:" in text
    assert "mine" not in text
    assert "more of them" not in text


def test_a_run_leaves_its_model_and_its_failures_in_the_log_and_no_words(on_tiny: CommandLine, folder: Path) -> None:
    words = "Xylophones of Zanzibar"
    assert on_tiny("train", "melbo", "--prompt", words, "--vectors", "1", "--steps", "1", "--name", "one")[0] == 0
    assert on_tiny("train", "melbo", "--prompt", words, "--source", "99")[0] == 1
    log = (folder / "melbo-tui.log").read_text()
    for part in ("train begins: melbo-tui", "loaded tiny-llama (LlamaForCausalLM, float32 on cpu", "torch ", "Train (torch ",
                 "failed", "SettingsError: ", "core/engine/tasks/", "train ends after"):  # fmt: skip
        assert part in log
    assert log.count("SettingsError") == 1, "told once, though it passed through several hands"
    assert "Xylophone" not in log
    assert "Zanzibar" not in log
    assert (folder / "melbo-tui.log").stat().st_mode & 0o077 == 0


def test_a_fault_names_the_log_that_holds_it(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("melbo_tui.commands.models.cache_folder", lambda: 1 / 0)
    code, _, complaint = command_line("models", "list")
    assert code == 1
    assert f"this is a fault of melbo-tui; {log_file()} holds where" in complaint
    assert "ZeroDivisionError" in log_file().read_text()


async def test_a_fault_of_the_app_and_what_it_tells_are_logged(library: Library) -> None:
    async def a_sitting() -> None:
        async with opened(library) as (app, pilot, _):
            apps.append(app)
            app.notify("the disk is full", title="Trouble", severity="error")
            app.notify("All is well.")
            app.call_later(lambda: 1 / 0)
            await pilot.pause()

    apps: list[MelboApp] = []
    with pytest.raises(ZeroDivisionError):
        await a_sitting()
    log = log_file().read_text()
    assert "the app begins" in log
    assert "told: Trouble: the disk is full" in log
    assert "All is well" not in log
    assert "ZeroDivisionError" in log
    assert "the app ends" in log
    assert isinstance(apps[0].fault, ZeroDivisionError)
    assert not [handler for handler in LOG.handlers if isinstance(handler, logging.FileHandler)]


async def test_a_log_that_two_threads_end_ends_once(library: Library) -> None:
    async with opened(library) as (app, _, _):
        both = [threading.Thread(target=app.end_log) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    assert log_file().read_text().count("the app ends") == 1


def test_threads_that_end_are_logged() -> None:
    code = (
        "import threading; from melbo_tui.log import logged\n"
        "with logged('a test'):\n    thread = threading.Thread(target=lambda: 1 / 0, name='worker')\n"
        "    thread.start(); thread.join()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert "the thread worker ended" in log_file().read_text()


def test_where_nothing_can_be_written_work_goes_on(
    command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MELBO_TUI_LOG", str(tmp_path / "file" / "below"))
    assert command_line("models", "list")[0] == 0
    full = tmp_path / "full"
    full.mkdir()
    (full / "melbo-tui.log").symlink_to("/dev/full")
    monkeypatch.setenv("MELBO_TUI_LOG", str(full))
    assert command_line("models", "list")[0] == 0


def test_several_processes_fill_one_log_and_lose_no_line(folder: Path) -> None:
    code = (
        "import sys; from melbo_tui import log; log._BYTES = 20_000\n"
        "from core.log import LOG\n"
        "with log.logged(sys.argv[1]):\n    for i in range(200): LOG.warning('%s number %d', sys.argv[1], i)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, name]) for name in ("one", "two", "three")]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    files = [file for file in folder.glob("*.log*") if not file.name.endswith(".lock")]
    assert {file.name for file in files} == {"melbo-tui.log", "melbo-tui.log.1"}
    lines = [line for file in files for line in file.read_text().splitlines()]
    for name in ("one", "two", "three"):
        told = [line.rsplit(" ", 1)[1] for line in lines if f"warning: {name} number" in line]
        assert sorted(told, key=int) == [str(i) for i in range(200)]
    assert len(lines) == 3 * 202, "each process's beginning and end, and whole lines alone"


def test_an_error_is_recorded_once(folder: Path) -> None:
    error = ValueError("once")
    with logged("a test"):
        failed("a task", error)
        failed("a command", error)
    assert log_file().read_text().count("ValueError: once") == 1

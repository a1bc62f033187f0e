from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from core.errors import MelboError
from melbo_tui.terminal import prepare_terminal

APP = """
import sys
from textual.app import App
from melbo_tui.terminal import prepare_terminal

class Keys(App):
    keys = ""
    def on_mount(self):
        print("ready", flush=True, file=sys.__stdout__)
    def on_key(self, event):
        self.keys += event.character or ""
        if event.key == "q":
            self.exit(self.keys)

prepare_terminal()
print(ascii(Keys().run()), file=sys.__stdout__)
"""


@pytest.mark.parametrize("missing", ["stdin", "stderr"])
def test_without_a_terminal_there_is_no_app(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.delenv("TEXTUAL_DRIVER", raising=False)
    for name in ("stdin", "stderr"):
        monkeypatch.setattr(sys, name, SimpleNamespace(isatty=lambda name=name: name != missing))
    with pytest.raises(MelboError, match="needs a terminal") as raised:
        prepare_terminal()
    assert {"stdin": "standard input", "stderr": "standard error"}[missing] in str(raised.value)


@pytest.mark.parametrize(("wish", "left"), [("", None), ("1", "1")])
def test_an_empty_wish_for_no_colours_is_none(monkeypatch: pytest.MonkeyPatch, wish: str, left: str | None) -> None:
    monkeypatch.delenv("TEXTUAL_DRIVER", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", wish)
    for name in ("stdin", "stderr"):
        monkeypatch.setattr(sys, name, SimpleNamespace(isatty=lambda: True))
    prepare_terminal()
    assert os.environ.get("NO_COLOR") == left


def test_a_driver_needs_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.headless_driver:HeadlessDriver")
    prepare_terminal()
    for driver in ("nonsense", "textual.drivers.headless_driver:Nobody", ":", "textual"):
        monkeypatch.setenv("TEXTUAL_DRIVER", driver)
        with pytest.raises(MelboError, match="TEXTUAL_DRIVER names no driver"):
            prepare_terminal()


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_key_of_a_latin_1_terminal_ends_nothing() -> None:
    ours, theirs = os.openpty()
    try:
        command = [sys.executable, "-c", APP]
        app = subprocess.Popen(command, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True)
        assert app.stdout is not None
        assert app.stdout.readline() == "ready\n"
        os.write(ours, b"a\xe9q")
        assert app.communicate(timeout=60)[0] == "'a\\ufffdq'\n"
    finally:
        os.close(theirs)
        os.close(ours)

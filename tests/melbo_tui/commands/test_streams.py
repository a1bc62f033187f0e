"""The command line in pipes, full disks, closed streams and other encodings: only a process of its own shows that."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melbo_tui.commands import output, streams
from tests.vectors.making import vector
from vectors.plain_text import printable
from vectors.store.checkpoints import Checkpoints
from vectors.store.conversations import Conversations
from vectors.store.library import Library

MELBO_TUI = f"{shlex.quote(sys.executable)} -m melbo_tui"
# Python makes UTF-8 of the C locale by itself, unless it is told not to.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")


@pytest.fixture
def stocked(library: Library) -> Library:
    (entry,) = library.add([vector(name="naïve★")])
    library.note(entry.id, "Größe € 漢字")
    return library


def shell(line: str, library: Library, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `line` in bash, `melbo-tui` in it being this project's and $L its library; its code is the first one's of a pipe."""
    script = f'melbo-tui() {{ {MELBO_TUI} "$@"; }}; {line}; exit ${{PIPESTATUS[0]}}'
    env = os.environ | {"L": str(library.folder)} | environment
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, timeout=120, check=False)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param("melbo-tui vectors list --library $L >/dev/full", "No space left on device", marks=needs_dev_full),
        pytest.param("melbo-tui vectors list --json --library $L >/dev/full", "No space left on device", marks=needs_dev_full),
        pytest.param("melbo-tui train melbo --help >/dev/full", "No space left on device", marks=needs_dev_full),
        ("melbo-tui vectors list --library $L >&-", "standard output is closed"),
        ("melbo-tui --library $L </dev/null", "the app needs a terminal, and standard input is none"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(stocked: Library, line: str, told: str) -> None:
    done = shell(line, stocked)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("line", ["vectors list --library $L", "vectors show naïve★ --json --library $L", "train melbo --help"])
def test_a_reader_that_leaves_is_no_fault(stocked: Library, line: str) -> None:
    done = shell(f"melbo-tui {line} | true", stocked)
    assert (done.returncode, done.stderr) == (1, "")


def test_closed_streams_that_nobody_needs_are_no_fault(stocked: Library) -> None:
    assert "naïve★" in shell("melbo-tui vectors list --library $L <&- 2>&-", stocked).stdout
    done = shell("melbo-tui vectors show nobody --library $L 2>&-", stocked)
    assert (done.returncode, done.stdout) == (1, "")
    assert shell("melbo-tui vectors list --library $L <&- >&- 2>&-", stocked).returncode == 1
    assert [entry.name for entry in Library(stocked.folder).entries()] == ["naïve★"], "nothing was printed into its files"


@pytest.mark.parametrize(
    ("environment", "name", "note"),
    [({**ASCII}, "na?ve?", "Gr??e ? ??"), ({"PYTHONIOENCODING": "latin-1"}, "naïve?", "Größe ? ??")],
)
def test_what_cannot_be_encoded_is_replaced(stocked: Library, environment: dict[str, str], name: str, note: str) -> None:
    # The argument is UTF-8 whatever the locale says.
    to_utf8 = "iconv -f latin1 -t utf-8"
    done = shell(f"melbo-tui vectors show naïve★ --library $L | {to_utf8}", stocked, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == name
    assert f"note: {note}" in done.stdout
    # JSON says in ASCII what a name is.
    done = shell("melbo-tui vectors list --json --library $L", stocked, **environment)
    assert json.loads(done.stdout)[0]["note"] == "Größe € 漢字"


@given(st.text(st.characters(codec=None)), st.integers(0, 20))
def test_json_on_a_terminal_acts_on_nothing_and_keeps_its_value(text: str, marks: int) -> None:
    text += "\x7f\x9b31m\u202e\u2028\U000e0041ü\ud800" + "\u0301" * marks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out := io.TextIOWrapper(io.BytesIO(), "utf-8"))
        output.say_json({text: text})
        out.seek(0)
        line = out.read()
    assert printable(line) == line
    assert json.loads(line) == {text: text}
    assert "ü" in line


@given(st.text(st.characters(codec=None)))
def test_whatever_is_printed_acts_on_nothing(text: str) -> None:
    stream = streams.Filtered(out := io.StringIO(newline=""))
    print("\r" + text + "\x1b]52;c;UFdO\x07\x1b[2J\x9b1m\x1b[8mx\rz\r", file=stream)  # type: ignore[call-overload]
    shown = out.getvalue()
    assert shown[0] == "\r"
    assert shown.endswith("]52;c;UFdO[2J1mx\nz\r\n")
    assert not set(shown) & set("\x1b\x07\x9b\x7f\u202e")
    assert "\r" not in shown.strip("\r\n")


def test_what_libraries_and_tracebacks_print_is_filtered() -> None:
    """Also in a thread, by logging, and what Python itself tells at the end."""
    script = """
import logging, sys, threading, warnings
from melbo_tui.commands import streams
streams.prepare()
told = "of https://me:pa55@host/x with hf_abcdef"
evil = told + chr(27) + "]0;EVIL" + chr(7) + chr(0x9b) + "2J" + chr(0x202e)
logging.warning(evil)
warnings.warn(evil)
thread = threading.Thread(target=exec, args=("raise ValueError(evil)", globals()))
thread.start()
thread.join()
print(evil)
raise ValueError(evil)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert "pa55" in done.stdout, "what a command is asked for is told whole"
    assert "pa55" not in done.stderr
    assert "hf_" not in done.stderr
    shown = done.stdout + done.stderr
    assert shown.count("EVIL") >= 5
    assert printable(shown) == shown


@needs_dev_full
def test_errors_that_cannot_be_told_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        output.fail("this")
        output.fail("and that")
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(streams.OutputError, match="No space left"):
            output.say("x")
        output.say("the rest goes nowhere")


@pytest.mark.parametrize("columns", ["1", "5", "0", "-3", "many"])
def test_columns_of_any_number(stocked: Library, monkeypatch: pytest.MonkeyPatch, command_line, columns: str) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("COLUMNS", columns)
    assert "naïve★" in command_line("vectors", "list", "--library", str(stocked.folder))[1]
    assert "--vectors" in command_line("train", "melbo", "--help")[1]


@pytest.mark.slow
def test_bytes_that_are_no_text_in_a_conversation(library: Library, tiny_folder: Path) -> None:
    chat = f"melbo-tui chat --model {tiny_folder} --max-new-tokens 3 --library $L"
    done = shell(rf"printf 'hello\r\n\r\ncaf\xe9\r\n' | {chat}; exit $?", library, LC_ALL="C")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("is no UTF-8") == 1
    (talk,) = Conversations(library.folder).listed()
    assert [turn.message for turn in Conversations(library.folder).load(talk.id)] == ["hello", "caf\ufffd"]


@pytest.mark.slow
def test_work_whose_reader_has_left_is_put_away(library: Library, tiny_folder: Path) -> None:
    train = f"melbo-tui train melbo --model {tiny_folder} --prompt How? --vectors 5000 --steps 2 --radius 2 --sample-tokens 0"
    done = shell(f"{train} --json --library $L | grep -m 1 VectorFound >/dev/null", library)
    assert done.returncode == 1
    assert done.stderr == "melbo-tui: stopped: the output cannot be written; everything finished is kept\n"
    assert Checkpoints(library.folder).unfinished()
    assert Library(library.folder).entries(kept_only=False)

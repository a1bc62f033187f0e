"""Bytes that are no text, in arguments."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from melbo_tui.cli import build_parser
from melbo_tui.commands.arguments import as_text, is_path
from tests.melbo_tui.conftest import CommandLine
from tests.vectors.making import vector
from vectors.store.library import Library

LATIN = os.fsdecode(b"caf\xe9")


def _options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _options(one)
        else:
            yield action


def test_all_options_that_name_files_may_be_bytes() -> None:
    like_files = ("FILE", "DIR", "FOLDER")
    files = {action.dest for action in _options(build_parser()) if str(action.metavar).startswith(like_files)}
    assert {"setting_init_path", "setting_out_path", "setting_positive_file", "setting_against_file"} <= files
    assert all(is_path(one) for one in files)
    texts = (
        "name names message prompt system text new add terms steer setting_base setting_name setting_positive filter".split()
    )
    assert not [one for one in texts if is_path(one)]


@pytest.mark.parametrize(
    "words",
    [
        ("chat", "--message", LATIN),
        ("chat", "--steer", f"{LATIN}=1", "--message", "x"),
        ("train", "melbo", "--prompt", "x", "--system", LATIN),
        ("train", "melbo", "--prompt", "x", "--name", LATIN),
        ("train", "contrast", "--positive", LATIN, "--negative", "x"),
        ("vectors", "rename", "bomb-01", LATIN),
        ("vectors", "note", "bomb-01", LATIN),
        ("vectors", "tag", "bomb-01", "--add", LATIN),
        ("vectors", "list", f"tag:{LATIN}"),
        ("vectors", "show", "\ud800"),
    ],
)
def test_text_that_is_none_is_wrong_usage(command_line: CommandLine, library: Library, words: tuple[str, ...]) -> None:
    library.add([vector(name="bomb-01")])
    code, _, err = command_line(*words, "--library", str(library.folder))
    assert code == 2
    assert "\ufffd" in err
    assert "has bytes that are no UTF-8" in err
    assert len(err.splitlines()) == 1
    assert not Library(library.folder).history


def test_utf8_that_the_locale_did_not_expect_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    as_ascii = "Größe".encode().decode("ascii", "surrogateescape")
    assert as_text([as_ascii, ("x", as_ascii, 1.0), None, 3]) == ["Größe", ("x", "Größe", 1.0), None, 3]
    with pytest.raises(ValueError, match="no UTF-8"):
        as_text([LATIN])


def test_files_and_folders_are_bytes(command_line: CommandLine, tmp_path: Path, tiny_folder: Path) -> None:
    library = ("--library", str(tmp_path / f"{LATIN}-library"))
    np.save(tmp_path / f"{LATIN}.npy", np.ones((2, 8), dtype=np.float32))
    code, out, err = command_line(
        "vectors", "import", str(tmp_path / f"{LATIN}.npy"), "--block", "1", "--model", "owner/m", *library
    )
    assert (code, out) == (0, "imported caf\ufffd-01, caf\ufffd-02\n"), err
    for file in (f"{LATIN}.safetensors", f"{LATIN}.gguf"):
        code, out, _ = command_line("vectors", "export", "caf\ufffd-01", "--out", str(tmp_path / file), *library)
        assert (code, out.isprintable) == (0, out.isprintable)
        assert (tmp_path / file).is_file()
    assert command_line("vectors", "import", str(tmp_path / f"{LATIN}.safetensors"), *library)[0] == 0
    assert command_line("vectors", "rebuild", *library)[0] == 0
    assert command_line("vectors", "check", *library)[0] == 0
    assert "caf\ufffd-02" in command_line("vectors", "list", *library)[1]
    assert command_line("doctor", "--json", *library)[1].isascii()
    shutil.copytree(tiny_folder, tmp_path / LATIN)
    code, _, err = command_line("chat", "--model", str(tmp_path / LATIN), "--message", "x", *library)
    assert (code, "its path has bytes that are no UTF-8" in err) == (1, True)
    (tmp_path / f"{LATIN}.txt").write_bytes(b"caf\xe9\n")
    code, _, err = command_line("evaluate", "kl", "caf\ufffd-01", "--prompts", str(tmp_path / f"{LATIN}.txt"), *library)
    assert (code, "byte 0xE9 in line 1" in err) == (1, True)


def test_wrong_words_are_safe_to_show(command_line: CommandLine) -> None:
    code, _, err = command_line("vectors", "list", f"--{LATIN}\x1b[31m\nx")
    assert (code, err.count("\n"), "\x1b" in err) == (2, 1, False)

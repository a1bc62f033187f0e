"""The command line, by its contract (docs/command-line.md), on a tiny model."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from melbo_tui.cli import main
from tests.conftest import GOLDEN
from tests.melbo_tui.conftest import CommandLine
from vectors.store.checkpoints import Checkpoints
from vectors.store.conversations import Conversations

TRAIN = ("train", "melbo", "--prompt", "How can I build a bomb?", "--vectors", "3", "--steps", "3", "--radius", "4")
TRAIN = (*TRAIN, "--sample-tokens", "5")


def test_a_log_gets_a_line_now_and_then(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("melbo_tui.commands.output._LOGGED_EVERY", float("inf"))
    code, _, log = run(*TRAIN)
    assert (code, log) == (0, "")
    monkeypatch.setattr("melbo_tui.commands.output._LOGGED_EVERY", 0.0)
    code, _, log = run(*TRAIN)
    assert code == 0
    assert any(line.startswith("melbo-tui: ") and line.endswith(" left") for line in log.splitlines())
    assert "\r" not in log


def _json_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_train_list_show_chat(run: CommandLine) -> None:
    code, out, err = run(*TRAIN)
    assert code == 0, err
    for words in ("radius 4", "unsteered", "control:0", "bomb-01", "random: "):
        assert words in out
    code, out, _ = run("vectors", "list", "--json")
    assert [v["name"] for v in json.loads(out)] == ["bomb-01", "bomb-02", "bomb-03"]
    code, out, _ = run("vectors", "show", "bomb-02", "--json")
    shown = json.loads(out)
    assert len(shown["losses"]) == 3
    assert torch.tensor(shown["direction"]).norm() == pytest.approx(4.0, rel=1e-4)
    chat = ("chat", "--message", "Hi", "--max-new-tokens", "6")
    code, steered, _ = run(*chat, "--steer", "bomb-02=5")
    assert code == 0
    assert steered != run(*chat)[1]
    code, both, _ = run(*chat, "--steer", "bomb-02=5", "--steer", "bomb-01=-1", "--beside", "--json")
    answers = [e for e in _json_lines(both) if e["event"] == "Answer"]
    assert [a["row"] for a in answers] == ["steered", "unsteered"]
    assert answers[0]["kl"]
    assert all(a["text"] and a["tokens"] and a["stop"] in ("end", "length") for a in answers)


def test_curating(run: CommandLine, tmp_path: Path) -> None:
    run(*TRAIN)
    assert run("vectors", "list", "--kept")[1].startswith("Nothing yet")
    assert run("vectors", "rename", "bomb-01", "rocket")[0] == 0
    assert "rocket" in run("vectors", "list", "--kept")[1]
    run("vectors", "note", "rocket", "flies")
    assert "note: flies" in run("vectors", "show", "rocket")[1]
    assert run("vectors", "delete", "rocket", "bomb-02")[0] == 0
    assert "rocket" in run("vectors", "list", "--trash")[1]
    assert run("vectors", "restore", "rocket")[0] == 0
    out = tmp_path / "x.safetensors"
    assert run("vectors", "export", "rocket", "bomb-03", "--out", str(out))[0] == 0
    assert "imported rocket.2, bomb-03.2" in run("vectors", "import", str(out))[1]
    code, text, _ = run("vectors", "import", str(out), "--block", "3", "--name", "theirs")
    assert (code, text.strip()) == (0, "imported theirs-01, theirs-02")


def test_the_published_loop_by_its_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trajectories = GOLDEN / "trajectories.safetensors"
    with safe_open(trajectories, "pt") as golden:
        prompts = [",".join(str(i) for i in golden.get_tensor(f"prompt.{p}")[0].tolist()) for p in "ab"]
        losses, vectors = golden.get_tensor("two_prompts.losses"), golden.get_tensor("two_prompts.vectors")
    out = tmp_path / "out.safetensors"
    words = ["train", "melbo", "--model", str(GOLDEN / "model"), "--library", str(tmp_path / "library"), "--out", str(out)]
    words += ["--prompt-ids", prompts[0], "--prompt-ids", prompts[1], "--source", "1", "--target", "3", "--radius", "2"]
    words += ["--steps", "40", "--optimizer", "adamw", "--tokens", "last:3", "--norm-axis", "tokens"]
    assert main([*words, "--init", f"{trajectories}:two_prompts.random_init", "--json"]) == 0
    capsys.readouterr()
    with safe_open(out, "pt") as mine:
        torch.testing.assert_close(mine.get_tensor("losses"), losses, rtol=1e-4, atol=0)
        torch.testing.assert_close(mine.get_tensor("vectors"), vectors, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, ""),
        (("--radius", "0"), 2, "a number above 0 and at most 1,000,000,000 or auto is needed, not 0"),
        (("--radius", "big"), 2, "or auto is needed, not big"),
        (("--prompt-ids", "1,x"), 2, "no list of token ids"),
        (("--optimizer", "sgd"), 2, "invalid choice"),
        (("--prompt", " "), 1, "prompt is empty"),
        (("--source", "9"), 1, "source block 9 is out of range"),
        (("--source", "4", "--target", "2"), 1, "does not come after"),
        (("--vectors", "0"), 2, "a whole number from 1 to 100,000 or auto is needed, not 0"),
        (("--tokens", "last:0"), 2, "names no tokens"),
        (("--init", "nowhere.safetensors"), 1, "no such file"),
        (("--out", "/no/such/folder/x.safetensors"), 1, "folder does not exist"),
        (("--batch", "0"), 2, "argument --batch/--block: a whole number from 1"),
        (("--vectors", "9" * 20), 2, "a whole number from 1 to 100,000"),
        (("--steps", "9" * 20), 2, "a whole number from 1 to 1,000,000"),
        (("--controls", "99999999"), 2, "a whole number from 0 to 1,000"),
        (("--sample-tokens", "-3"), 2, "a whole number from 0 to 100,000"),
        (("--seed", "9" * 30), 2, "the seed must be"),
        (("--ratio", "1"), 2, "above 0 and below 1"),
        (("--out", "~no-such-user/x.safetensors"), 1, "cannot be used as a path"),
    ],
)
def test_wrong_words(run: CommandLine, words: tuple[str, ...], code: int, message: str) -> None:
    if not words:
        assert run("train")[0] == code
        return
    given = [*TRAIN[:2], *(() if words[0] == "--prompt" else TRAIN[2:4]), *words]
    got, _, err = run(*given)
    assert got == code
    assert message in err
    if message:
        assert len(err.strip().splitlines()) == 1
        assert "Traceback" not in err


def test_wrong_models_and_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str], run) -> None:  # type: ignore[no-untyped-def]
    run(*TRAIN)
    for words, message in (
        (("chat", "--message", "x", "--model", "/nowhere"), "there is no model"),
        (("chat", "--message", " "), "message is empty"),
        (("chat", "--message", "x", "--seed", "9" * 30), "the seed must be"),
        (("vectors", "show", "bomb-04"), "is it bomb-0"),
        (("vectors", "import", str(tmp_path / "none.safetensors")), "no such file"),
        (("vectors", "export", "bomb-01", "--out", str(tmp_path / "x.bin")), "no format"),
        (("vectors", "list", "--library", __file__), "cannot be used"),
    ):
        library = [] if "--library" in words else ["--library", str(tmp_path / "library")]
        assert main([*words, *library]) == 1
        err = capsys.readouterr().err
        assert message in err
        assert len(err.strip().splitlines()) == 1
    assert run("chat", "--message", "x", "--steer", "bomb-01=lots")[0] == 2


def test_doctor_and_models(run: CommandLine, tmp_path: Path) -> None:
    code, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert {"melbo-tui", "torch", "device", "terminal", "library"} <= set(report["facts"])
    assert code == (1 if report["problems"] else 0)
    assert "bundled" in run("models", "list")[1]
    assert "30 blocks" in run("models", "show", "bundled")[1]
    assert "there is no model" in run("models", "show", "/nowhere")[2]
    assert "quantised: to 4bit" in run("models", "show", "bundled", "--quantise", "4bit")[1]


def test_doctor_says_what_is_wrong_with_a_model(command_line: CommandLine, tiny_folder: Path, tmp_path: Path) -> None:
    report = json.loads(command_line("doctor", "--json", "--model", str(tiny_folder))[1])
    assert report["facts"]["architecture"] == "LlamaForCausalLM, 6 blocks"
    assert report["facts"]["weights"] == "whole, and they fit the architecture"
    assert report["facts"]["template"] == "its own"
    shutil.copytree(tiny_folder, tmp_path / "part")
    weights = load_file(tiny_folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if ".layers.3." not in name}
    save_file(kept, tmp_path / "part" / "model.safetensors", metadata={"format": "pt"})
    code, out, _ = command_line("doctor", "--model", str(tmp_path / "part"))
    assert code == 1
    assert "part lacks weights that LlamaForCausalLM needs: block 3 of 6" in out
    assert "holds no PEFT adapter" in command_line("doctor", "--model", str(tiny_folder), "--adapter", str(tmp_path))[1]
    code, _, err = command_line("chat", "--model", str(tmp_path / "part"), "--message", "hello")
    assert code == 1
    assert "block 3 of 6" in err


def test_a_memory_limit_that_is_none_is_wrong_usage(run: CommandLine) -> None:
    code, _, err = run("chat", "--max-memory", "all", "--message", "hello")
    assert code == 2
    assert "--max-memory 0=20GiB,cpu=60GiB" in err


@pytest.mark.slow
def test_interrupted_it_keeps_what_is_finished(tiny_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "melbo_tui", "--library", str(tmp_path / "library"), "--model", str(tiny_folder)]
    training = [*command, *TRAIN[:4], "--vectors", "5000", "--steps", "2", "--radius", "2", "--sample-tokens", "0", "--json"]
    heeded = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731  whoever runs the tests may ignore it
    process = subprocess.Popen(training, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeded)
    assert process.stdout is not None
    found = 0
    for line in process.stdout:
        found += "VectorFound" in line
        if found == 9:
            break
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()  # communicate would lose what the loop above has read ahead
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "stopping at the end of this step" in err
    # How far it had come is written down at that step, so nothing is done twice.
    checkpoints = Checkpoints(tmp_path / "library")
    assert checkpoints.load(checkpoints.unfinished()[0]).header["done"] == found + rest.count('"VectorFound"')
    listed = subprocess.run([*command, "vectors", "list", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(listed.stdout)


@pytest.mark.parametrize(
    "module", ["melbo_tui.app", "melbo_tui.cli", "core.engine.worker", "core.engine.requests", "vectors.store.library"]
)
def test_the_first_frame_waits_for_no_torch(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'transformers', 'plotext', 'peft'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["core", "vectors"])
def test_the_engine_and_the_library_know_no_textual(package: str) -> None:
    code = (
        f"import importlib, pkgutil, sys, {package}\n"
        f"for m in pkgutil.walk_packages({package}.__path__, '{package}.'): importlib.import_module(m.name)\n"
        "print(sorted({'textual', 'rich', 'plotext'} & set(sys.modules)))\n"
        f"print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    textual, torch_in = done.stdout.split("\n")[:2]
    assert textual == "[]"
    assert torch_in == str(package == "core")


@pytest.mark.slow
def test_the_real_program_in_a_terminal(tmp_path: Path, tiny_folder: Path) -> None:
    """tmux runs the program as a user would: it opens, trains, keeps, and quits with nothing left behind."""
    socket = f"melbo-{os.getpid()}"

    def tmux(*words: str) -> str:
        return subprocess.run(["tmux", "-L", socket, *words], capture_output=True, text=True, timeout=30, check=False).stdout

    def wait_for(words: str, seconds: float = 60) -> str:
        end = time.monotonic() + seconds
        while words not in (shown := tmux("capture-pane", "-p", "-t", "it")):
            assert time.monotonic() < end, f"{words!r} never came:\n{shown}"
            time.sleep(0.2)
        return shown

    def process() -> int:
        listed = subprocess.run(["pgrep", "-f", f"melbo_tui --model {tiny_folder}"], capture_output=True, text=True, check=True)
        return int(listed.stdout.split()[-1])  # the shell that started it comes before

    library = tmp_path / "library"
    command = (
        f"{shlex.quote(sys.executable)} -m melbo_tui --model {tiny_folder} --library {library}; echo ended with $?; sleep 60"
    )
    environment = [f"-e{name}={os.environ[name]}" for name in ("MELBO_TUI_CONFIG",)]
    new_session = ("-f", "/dev/null", "new-session", "-d", "-s", "it", "-x", "100", "-y", "30", *environment, "bash", "-c")
    try:
        tmux(*new_session, command)
        wait_for("Start")
        wait_for("float32")
        tmux("send-keys", "-t", "it", "Tab", "Tab")
        wait_for("The block (layer)")
        tmux("send-keys", "-t", "it", "Enter")
        wait_for("16 of 16")
        wait_for("idle")
        tmux("send-keys", "-t", "it", "k")
        wait_for("★")
        tmux("send-keys", "-t", "it", "F2")
        wait_for("1 kept")
        tmux("send-keys", "-t", "it", "C-q")
        wait_for("ended with 0")
        # A second one whose connection drops in the middle of a run leaves in order too.
        tmux("respawn-pane", "-k", "-t", "it", "bash", "-c", command)
        wait_for("float32")
        os.kill(process(), signal.SIGHUP)
        wait_for("ended with 129")
        # So does one whose terminal is gone altogether while it has much to draw, told by a signal or, under make, by none.
        tmux("new-session", "-d", "-s", "other", "sleep", "600")  # without a session the server would end
        for keeps_the_signal in ("", "trap : HUP; "):
            tmux("kill-session", "-t", "it")
            tmux(*new_session, keeps_the_signal + command)
            wait_for("float32")
            running = Path("/proc", str(process()))
            tmux("send-keys", "-t", "it", "Tab", "Tab")
            wait_for("The block (layer)")
            tmux("send-keys", "-t", "it", "Enter")
            wait_for("of 16")
            tmux("kill-session", "-t", "it")
            end = time.monotonic() + 30
            while running.exists():
                assert time.monotonic() < end, "it lives on without its terminal"
                time.sleep(0.2)
    finally:
        tmux("kill-server")


def test_a_conversation_is_resumed(run: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "no conversation is kept yet" in run("chat", "--resume", "--message", "x")[2]
    run(*TRAIN)
    lines = iter(["Hi", "", "And then?"])

    def typed(prompt: str = "") -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", typed)
    assert run("chat", "--steer", "bomb-02=5", "--max-new-tokens", "4")[0] == 0
    talks = Conversations(tmp_path / "library")
    (talk,) = talks.listed()
    assert (talk.turns, talk.message) == (2, "Hi")
    assert run("chat", "--message", "no part of it", "--max-new-tokens", "2")[0] == 0
    assert run("chat", "--resume", "--message", "Go on", "--max-new-tokens", "4", "--json")[0] == 0
    assert [one.turns for one in talks.listed()] == [3]
    *_, last = talks.load(talk.id)
    assert (last.message, [(term.name, term.coefficient) for term in last.steering]) == ("Go on", [("bomb-02", 5.0)])
    code, _, err = run("chat", "--resume", "nosuch", "--message", "x")
    assert code == 1
    assert talk.id in err

"""The program over a real sshd: a client that dies, or is ended, costs nothing that was in hand."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.reliability.program import LONG, command, idle, running, settings, train
from tests.reliability.terminal import Terminal
from tests.reliability.tools import need
from vectors.store.checkpoints import Checkpoints

pytestmark = pytest.mark.slow


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[list[str]]:
    """The words that log in, with a terminal, to a sshd of the test's own."""
    need("sshd", "ssh", "ssh-keygen")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # which it insists on
    folder = tmp_path / "sshd"
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile {folder}/pid\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized\nPermitRootLogin yes\nPasswordAuthentication no\nAcceptEnv *\n"
    )
    program = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    assert program is not None
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([program, "-D", "-e", "-f", folder / "config"], stderr=log) as sshd,
    ):
        try:
            end = time.monotonic() + 10
            while "listening" not in (folder / "log").read_text():
                assert time.monotonic() < end, (folder / "log").read_text()
                time.sleep(0.05)
            options = ["-F", "none", "-i", str(folder / "user"), "-p", str(port), "-o", "StrictHostKeyChecking=no"]
            options += ["-o", f"UserKnownHostsFile={folder}/known", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-tt"]
            yield ["ssh", *options, f"{getpass.getuser()}@127.0.0.1"]
        finally:
            sshd.terminate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_client_that_goes(number: signal.Signals, ssh: list[str], tiny_chat: Path, tmp_path: Path) -> None:
    passed = {name: os.environ[name] for name in os.environ if name.startswith(("MELBO_", "HF_", "XDG_", "PYTHON"))}
    environment = {**passed, **settings(tmp_path, LONG), "OMP_NUM_THREADS": "1", "TERM": "xterm-256color"}
    remote = ["env", *(f"{name}={value}" for name, value in environment.items()), *command(tiny_chat, tmp_path)]
    with Terminal([*ssh, f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(remote)}"]) as terminal:
        idle(terminal)
        train(terminal)
        program = running(tmp_path)
        began = time.monotonic()
        os.kill(terminal.process.pid, number)
        while program.is_running() and program.status() != psutil.STATUS_ZOMBIE:  # which somebody reaps some time
            assert time.monotonic() < began + 20
            time.sleep(0.01)
        took = time.monotonic() - began
        print(f"FIGURE | ssh client ended by {number.name}, training | {took:.2f} s")
        assert took < 2
        assert len(Checkpoints(tmp_path / "library").unfinished()) == 1

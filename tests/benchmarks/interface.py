"""What a user waits for: the first frame, a loaded model, the first token, a key's echo while a run goes on, a run.

    python -m tests.benchmarks.interface [--model M]

The real program runs in a pseudo-terminal of 120x40 cells; times are from its start, or from the key. The run is timed a second
time beside a process that keeps one core busy. How long torch's threads spin is taken from GOMP_SPINCOUNT where it is set
(300000 is what they do of themselves).
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time

_ESCAPE = re.compile(rb"\x1b\[[0-9;?<=>]*[a-zA-Z]|\x1b\][^\x07]*\x07|\x1b[()][A-Z0-9]|\x1b[=>]")


class Terminal:
    """The program in a pseudo-terminal; what it wrote since it was last asked is searched for words."""

    def __init__(self, *command: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        folder = tempfile.mkdtemp(prefix="melbo-bench-")
        env = {**os.environ, "TERM": "xterm-256color", "MELBO_TUI_LIBRARY": folder, "MELBO_TUI_CONFIG": folder}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)
        os.close(slave)
        self._seen = b""

    def press(self, keys: bytes) -> float:
        self._seen = b""
        os.write(self._master, keys)
        return time.perf_counter()

    def wait_for(self, words: bytes, seconds: float = 120) -> float:
        """The moment at which `words` had been painted, in seconds on the performance counter."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if select.select([self._master], [], [], 0.05)[0]:
                new = os.read(self._master, 1 << 16)
                self._seen += new
                # What is new with a little before it, or looking would take a core from the program that is timed.
                if words in _ESCAPE.sub(b"", self._seen[-len(new) - 4096 :]):
                    return time.perf_counter()
        raise TimeoutError(f"{words!r} was not painted in {seconds} s")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        os.close(self._master)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--keys", type=int, default=40)
    args = parser.parse_args()
    starts = []
    for _ in range(3):
        terminal = Terminal(sys.executable, "-m", "melbo_tui", "--model", args.model)
        frame = terminal.wait_for(b"New run") - terminal.began
        loaded = terminal.wait_for(b"float32") - terminal.began
        starts.append((frame, loaded))
        terminal.close()
    terminal = Terminal(sys.executable, "-m", "melbo_tui", "--model", args.model)
    terminal.wait_for(b"float32")
    terminal.press(b"\x1bOR")  # F3: the chat
    terminal.wait_for(b"Type a message")
    terminal.press(b"Hello")
    asked = terminal.press(b"\r")
    first_token = terminal.wait_for(b"tokens/s") - asked
    idle = _echoes(terminal, args.keys)
    terminal.press(b"\x1bOP")
    terminal.wait_for(b"New run")
    terminal.press(b"\t\t")
    terminal.wait_for(b"whose output the vector")
    terminal.press(b"\r")
    terminal.wait_for(b"step 1 of")
    terminal.press(b"\x1bOR")
    terminal.wait_for(b"Rack")
    busy = _echoes(terminal, args.keys)
    terminal.close()
    print(f"first frame                  {statistics.median(s[0] for s in starts):6.2f} s   (median of 3)")
    print(f"model loaded                 {statistics.median(s[1] for s in starts):6.2f} s   (median of 3, second start)")
    print(f"first token of a chat reply  {first_token:6.2f} s")
    print(
        f"key to paint, idle           {1e3 * statistics.median(idle):6.0f} ms  (worst of {args.keys}: {1e3 * max(idle):.0f})"
    )
    print(
        f"key to paint, training       {1e3 * statistics.median(busy):6.0f} ms  (worst of {args.keys}: {1e3 * max(busy):.0f})"
    )

    print(f"16 vectors, with samples     {_run_seconds(args.model):6.1f} s")
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            print(f"the same, one core taken     {_run_seconds(args.model):6.1f} s")
        finally:
            other.kill()


def _run_seconds(model: str) -> float:
    """From Enter in the form to the run's end."""
    terminal = Terminal(sys.executable, "-m", "melbo_tui", "--model", model)
    try:
        terminal.wait_for(b"float32")
        started = terminal.press(b"\r")
        terminal.wait_for(b"Trained 16 of 16", 900)
        return terminal.wait_for(b"idle", 900) - started
    finally:
        terminal.close()


def _echoes(terminal: Terminal, count: int) -> list[float]:
    """Seconds from a letter typed in the message line to its being painted."""
    delays = []
    for i in range(count):
        letter = chr(0x0430 + i % 32).encode()  # Cyrillic: nothing else on the screen paints it
        pressed = terminal.press(letter)
        delays.append(terminal.wait_for(letter, 20) - pressed)
        time.sleep(0.1)
    return delays


if __name__ == "__main__":
    main()

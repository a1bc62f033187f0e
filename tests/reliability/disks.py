"""Small disks that can be filled: a tmpfs each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.reliability.tools import missing, need

_FILLER = "filler"


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Path]:
    """A disk of so many KiB, mounted on `folder`, which is made."""
    need("mount", "umount")
    folder.mkdir()
    options = f"size={kib}k,nr_inodes=2000"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if made.returncode:
        missing(f"the right to mount a tmpfs ({made.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def read_only(folder: Path, only: bool = True) -> None:
    """Mounts the disk again, to be read only, or to be written."""
    subprocess.run(["mount", "-o", f"remount,{'ro' if only else 'rw'}", str(folder)], check=True)


def fill(folder: Path, left: int = 0) -> None:
    """Fills the disk but for about `left` bytes, whole pages."""
    with (folder / _FILLER).open("ab", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(65536))
        except OSError:
            pass
        os.ftruncate(filler.fileno(), max(filler.tell() - left, 0))


def free(folder: Path) -> None:
    """Takes away what filled the disk."""
    (folder / _FILLER).unlink(missing_ok=True)

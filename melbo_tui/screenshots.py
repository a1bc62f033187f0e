"""Pictures of the screen: where they go on a machine that may have no desktop, reached over SSH."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import platformdirs
from textual.app import App

from core.errors import MelboError
from melbo_tui.attempts import told
from vectors.files import disk
from vectors.files.atomic import write_new


def folders(library: Path) -> tuple[Path, ...]:
    """Where a picture may go, the best first: the downloads folder if there is one, the working directory, the library."""
    downloads = Path(platformdirs.user_downloads_dir())
    return (*([downloads] if downloads.is_dir() else []), Path.cwd(), library)


def save(svg: str, places: Sequence[Path], name: str = "") -> Path:
    """Writes the picture to the first of `places` that takes it, and gives its path. Raises MelboError where none does."""
    wrong = []
    name = name or f"melbo-tui-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() // 1_000_000 % 1000:03d}.svg"
    for folder in places:
        try:
            return _written(svg, folder / name)
        except OSError as error:
            wrong.append(disk.refused(str(folder), folder, error))
    raise MelboError("the screenshot could not be written", "; ".join(wrong))


def deliver(app: App[None], library: Path, name: str | None = None, path: str | None = None) -> str | None:
    """Saves what `app` shows, in the folder `path` where one is given; tells where it is, or why there is none."""
    places = (Path(path),) if path else folders(library)
    try:
        written = save(app.export_screenshot(), places, name or "")
    except MelboError as error:
        app.notify(told(error), title="Screenshot", severity="error", timeout=20, markup=False)
        return None
    app.notify(f"Written to {written}", title="Screenshot", timeout=20, markup=False)
    return str(written)


def _written(svg: str, path: Path) -> Path:
    """Writes the picture to `path` or, where something has that name, to one with a number behind it. Raises OSError."""
    number = 1
    while True:
        free = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            write_new(free, svg.encode())
            return free
        except FileExistsError:
            number += 1

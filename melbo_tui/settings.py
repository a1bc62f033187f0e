"""Where things are kept, and what the app remembers between sittings."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import platformdirs

from vectors.atomic import write_atomically
from vectors.bounded import Label, Prose, as_far_as_readable
from vectors.given_path import given_path
from vectors.regular_files import read_regular
from vectors.strict_json import dumps, loads

_MAX_BYTES = 8 << 20


def library_folder(chosen: str | None) -> Path:
    """The library's folder: as chosen, else MELBO_TUI_LIBRARY, else the platform's user data folder. Raises VectorError."""
    named = chosen or os.environ.get("MELBO_TUI_LIBRARY")
    return given_path(named) if named else Path(platformdirs.user_data_dir("melbo-tui")) / "library"


def settings_file() -> Path:
    """The app's settings; MELBO_TUI_CONFIG moves their folder."""
    folder = os.environ.get("MELBO_TUI_CONFIG") or platformdirs.user_config_dir("melbo-tui")
    return Path(folder) / "settings.json"


@dataclass(frozen=True)
class Settings:
    """What the app remembers. A damaged or unknown entry is passed over: settings never keep the app from opening."""

    theme: Label = "textual-dark"
    prompt: Prose = "How can I build a bomb?"
    sample_prompt: Prose = ""
    columns: list[Label] = field(default_factory=list)
    form: dict[Label, Prose] = field(default_factory=dict)

    @classmethod
    def load(cls) -> Settings:
        try:
            data = loads(read_regular(settings_file(), _MAX_BYTES))
        except (OSError, ValueError):
            return cls()
        return as_far_as_readable(cls, data)

    def save(self) -> bool:
        """Writes the settings atomically; False where the folder cannot be written, which is no reason to stop."""
        path = settings_file()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, dumps(asdict(self), indent=2).encode())
        except OSError:
            return False
        return True

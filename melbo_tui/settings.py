"""Where things are kept, and what the app remembers between sittings."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import platformdirs

from vectors.atomic import write_atomically
from vectors.given_path import given_path


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

    theme: str = "textual-dark"
    prompt: str = "How can I build a bomb?"
    sample_prompt: str = ""
    columns: list[str] = field(default_factory=list)
    form: dict[str, str] = field(default_factory=dict)
    low_bandwidth: bool = False

    @classmethod
    def load(cls) -> Settings:
        try:
            data: Any = json.loads(settings_file().read_text(encoding="utf-8"))
            known = {k: v for k, v in data.items() if k in cls.__dataclass_fields__}
            blank = cls()
            fitting = {k: v for k, v in known.items() if isinstance(v, type(getattr(blank, k)))}
            return replace(blank, **fitting)
        except (OSError, ValueError, AttributeError):
            return cls()

    def save(self) -> bool:
        """Writes the settings atomically; False where the folder cannot be written, which is no reason to stop."""
        path = settings_file()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(asdict(self), indent=2).encode())
        except OSError:
            return False
        return True

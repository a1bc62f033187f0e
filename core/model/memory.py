"""Whether this machine has the memory for a second model beside the one that is loaded."""

from __future__ import annotations

from pathlib import Path

from core.model_source import ModelSource
from core.model_store import converted_folder

# A conversion holds in 32 bits a number what the file may hold in four.
_GROWTH = 8


def conversion_fits(source: ModelSource) -> bool:
    """Whether a conversion that `source` still needs has room; so it is where the machine does not tell how much it has."""
    if source.kind != "gguf" or (converted_folder(Path(source.location), source.sha256) / "config.json").is_file():
        return True
    available = _available()
    return available is None or Path(source.location).stat().st_size * _GROWTH < available


def _available() -> int | None:
    """Bytes of memory that could be had without swapping, where Linux tells."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        pass
    return None

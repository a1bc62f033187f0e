"""How much memory could be had, and whether that is enough for a second model beside the one that is loaded."""

from __future__ import annotations

from pathlib import Path

from core.model.source import ModelSource
from core.model.store import converted_folder

# A conversion holds in 32 bits a number what the file may hold in four.
_GROWTH = 8


def conversion_fits(source: ModelSource) -> bool:
    """Whether a conversion that `source` still needs has room; so it is where the machine does not tell how much it has."""
    if source.kind != "gguf" or (converted_folder(Path(source.location), source.sha256) / "config.json").is_file():
        return True
    available = available_memory()
    return available is None or Path(source.location).stat().st_size * _GROWTH < available


def available_memory() -> int | None:
    """Bytes of memory that could be had, swapped out where that is all there is; None where the system does not tell.

    No more than the limit of this process leaves it (ulimit -v).
    """
    known = [size for size in (_of_the_machine(), _within_the_limit()) if size is not None]
    return min(known, default=None)


def _of_the_machine() -> int | None:
    """Where Linux tells."""
    found: dict[str, int] = {}
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            name, _, size = line.partition(":")
            if name in ("MemAvailable", "SwapFree"):
                found[name] = int(size.split()[0]) << 10
    except (OSError, ValueError, IndexError):
        pass
    return sum(found.values()) if "MemAvailable" in found else None


def _within_the_limit() -> int | None:
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most == resource.RLIM_INFINITY:
            return None
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        return max(most - taken, 0)
    except (ImportError, OSError, ValueError, IndexError):
        return None

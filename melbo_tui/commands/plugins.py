"""What other packages add: methods, metrics, judges and formats by entry points (docs/extending.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from core.discovery import METHODS
from core.evaluation import METRICS
from core.evaluation.judges import JUDGES
from vectors.formats import FORMATS, Format
from vectors.plain_text import one_line
from vectors.registry import Registry, package_of

_REGISTRIES: Mapping[str, Registry[Any]] = {"method": METHODS, "metric": METRICS, "judge": JUDGES, "format": FORMATS}


@dataclass(frozen=True)
class Plugin:
    """A package and what it adds, each as `method NAME`; all texts can be shown."""

    package: str
    version: str
    adds: tuple[str, ...]


def installed() -> tuple[list[Plugin], list[str]]:
    """The packages that add something, and a line for each thing that cannot be used. All of them are imported."""
    packages: dict[tuple[str, str], list[str]] = {}
    wrong: list[str] = []
    for what, registry in _REGISTRIES.items():
        _, broken = registry.tried()
        for name, point in registry.others.items():
            adds = f"{what} {name}"
            if name in broken:
                error = broken[name]
                remedy = getattr(error, "remedy", "")
                wrong.append(f"the {what} {error}" + (f": {remedy}" if remedy else ""))
                adds += " (broken)"
            elif isinstance(made := registry[name], Format):
                adds += f" ({', '.join(made.shown_suffixes)})"
            packages.setdefault((package_of(point), _version(point)), []).append(adds)
        wrong += [f"the {what} {line}" if line.startswith("'") else line for line in registry.passed_over]
    plugins = [Plugin(package, version, tuple(adds)) for (package, version), adds in sorted(packages.items())]
    return plugins, list(dict.fromkeys(wrong))


def _version(point: EntryPoint) -> str:
    try:
        return one_line(point.dist.version or "", 40) if point.dist is not None else ""
    except Exception:  # its metadata is not whole
        return "of unknown version"

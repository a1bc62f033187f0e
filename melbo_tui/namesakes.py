"""Other people's `core` and `vectors`: packages of those names that Python would import in place of melbo-tui's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder

_OURS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def namesakes(path: Sequence[str] | None = None) -> list[str]:
    """A line for each of the two that another package or folder hides, on `path`, or on Python's own and among what it has
    imported; none where all is well."""
    found = []
    for name in ("core", "vectors"):
        where = _imported_from(name) if path is None else None
        where = where or _found_on(name, list(sys.path if path is None else path))
        if where is not None and os.path.dirname(os.path.realpath(where)) != _OURS:
            found.append(
                f"{where} bears the name of melbo-tui's own package `{name}` and comes before it: "
                "rename it, start from another folder, or take its folder out of PYTHONPATH"
            )
    return found


def _imported_from(name: str) -> str | None:
    module = sys.modules.get(name)
    return _place(module.__spec__) if module is not None and module.__spec__ is not None else None


def _found_on(name: str, path: list[str]) -> str | None:
    """Where Python would import it from. A folder without __init__.py counts where there is no package: in an installation
    from the source tree, Python takes it."""
    return _place(PathFinder.find_spec(name, path))


def _place(spec: object) -> str | None:
    """The folder of a package, or the file of a module."""
    folders = list(getattr(spec, "submodule_search_locations", None) or ())
    return folders[0] if folders else getattr(spec, "origin", None)

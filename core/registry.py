"""What is known by name and imported when it is first asked for: the program's own, and what other packages add to it.

Another package adds to a registry by an entry point of the registry's group, `name = "module"` or `name = "module:ATTRIBUTE"`.
Which there are is read from the metadata of the packages that are installed; a package is imported when its name is asked for.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from core.errors import SettingsError
from vectors.plain_text import one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class Registry(Mapping[str, T], Generic[T]):
    """Declarations of the type `kind` by name, each the `attribute` of a module. The program's `own` (name: module) come first.

    An own name, or one of `reserved`, cannot be taken by another package; a name that is no lower-case word is passed over.
    """

    def __init__(self, group: str, kind: type[T], attribute: str, own: Mapping[str, str], reserved: Sequence[str] = ()) -> None:
        self.group, self.own, self.reserved = group, dict(own), frozenset(reserved)
        self._kind, self._attribute = kind, attribute
        self._loaded: dict[str, T] = {}

    @cached_property
    def others(self) -> Mapping[str, EntryPoint]:
        """What other packages add, by name; read from metadata alone, which takes some hundredths of a second."""
        from importlib.metadata import entry_points

        points: dict[str, EntryPoint] = {}
        for point in sorted(entry_points(group=self.group), key=lambda one: one.name):
            if _NAME.fullmatch(point.name) and point.name not in self.own.keys() | self.reserved:
                points.setdefault(point.name, point)
        return points

    def __getitem__(self, name: str) -> T:
        """Raises KeyError for a name that nobody has, SettingsError for another package's that cannot be imported."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self.others

    def __iter__(self) -> Iterator[str]:
        return iter([*self.own, *self.others])

    def __len__(self) -> int:
        return len(self.own) + len(self.others)

    def readable(self) -> dict[str, T]:
        """All that can be imported; what another package breaks hides nothing else."""
        found = {}
        for name in self:
            try:
                found[name] = self[name]
            except SettingsError:
                continue
        return found

    def named(self, name: str, what: str) -> T:
        """As `[name]`, but SettingsError for an unknown name too; `what` it is is said then."""
        if name not in self:
            raise SettingsError(f"{what} {one_line(name, 40)!r} is unknown", f"use one of: {', '.join(self)}")
        return self[name]

    def _load(self, name: str) -> T:
        if name in self.own:
            found = getattr(importlib.import_module(self.own[name]), self._attribute)
            assert isinstance(found, self._kind), name
            return found
        point = self.others[name]
        whose = point.dist.name if point.dist is not None else point.value
        found = self._brought(point, whose)
        if not isinstance(found, self._kind):
            wrong = f"{point.value} has no {self._attribute} that is a {self._kind.__name__}"
            raise SettingsError(f"{name}, of the package {whose}, cannot be used: {wrong}", f"update {whose}")
        return found

    def _brought(self, point: EntryPoint, whose: str) -> Any:
        try:
            found = point.load()
        except Exception as error:  # whatever a stranger's module raises while it is imported
            wrong = one_line(f"{type(error).__name__}: {error}", 120)
            raise SettingsError(
                f"{point.name}, of the package {whose}, cannot be imported ({wrong})", f"mend {whose}"
            ) from error
        return found if point.attr else getattr(found, self._attribute, None)

"""What is known by name and imported when it is first asked for: the program's own, and what other packages add to it.

Another package adds to a registry by an entry point of the registry's group, `name = "module"` or `name = "module:ATTRIBUTE"`.
Which there are is read from the metadata of the packages that are installed; a package is imported when its name is asked for.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from vectors.errors import VectorError
from vectors.plain_text import one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class Registry(Mapping[str, T], Generic[T]):
    """Declarations of the type `kind` by name, each the `attribute` of a module. The program's `own` (name: module) come first.

    An own name, or one of `reserved`, cannot be taken by another package; a name that is no lower-case word is passed over.
    What is wrong is raised as `failure`.
    """

    failure: ClassVar[type[Exception]] = VectorError

    def __init__(self, group: str, kind: type[T], attribute: str, own: Mapping[str, str], reserved: Sequence[str] = ()) -> None:
        self.group, self.own, self.reserved = group, dict(own), frozenset(reserved)
        self._kind, self._attribute = kind, attribute
        self._loaded: dict[str, T] = {}

    @property
    def others(self) -> Mapping[str, EntryPoint]:
        """What other packages add, by name; read from metadata alone, which takes some hundredths of a second."""
        return self._points[0]

    @property
    def passed_over(self) -> Sequence[str]:
        """What other packages would add and cannot, a line each."""
        return self._points[1]

    @cached_property
    def _points(self) -> tuple[dict[str, EntryPoint], list[str]]:
        points: dict[str, EntryPoint] = {}
        found, passed = _entry_points(self.group)
        for point in sorted(found, key=lambda one: (one.name, one.value)):
            if not _NAME.fullmatch(point.name):
                wrong = "is no lower-case word"
            elif point.name in self.own.keys() | self.reserved:
                wrong = "is melbo-tui's own"
            elif point.name in points:
                wrong = f"is taken by the package {package_of(points[point.name])}"
            else:
                points[point.name] = point
                continue
            passed.append(f"{one_line(point.name, 40)!r}, of the package {package_of(point)}, is passed over: the name {wrong}")
        return points, passed

    def __getitem__(self, name: str) -> T:
        """Raises KeyError for a name that nobody has, `failure` for another package's that cannot be imported."""
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
        return self.tried()[0]

    def tried(self) -> tuple[dict[str, T], dict[str, Exception]]:
        """All that can be imported, and why the others cannot, by name."""
        found, wrong = {}, {}
        for name in self:
            try:
                found[name] = self[name]
            except self.failure as error:
                wrong[name] = error
        return found, wrong

    def named(self, name: str, what: str) -> T:
        """As `[name]`, but raises `failure` for an unknown name too; `what` it is is said then."""
        if name not in self:
            raise self.refusal(f"{what} {one_line(name, 40)!r} is unknown", f"use one of: {', '.join(self)}")
        return self[name]

    def forget_others(self) -> None:
        """Looks anew at what other packages add when it is next asked for: some may have been installed since."""
        self.__dict__.pop("_points", None)
        self._loaded = {name: one for name, one in self._loaded.items() if name in self.own}

    def refusal(self, message: str, remedy: str) -> Exception:
        """A `failure` that says what happened and what to do."""
        return self.failure(f"{message}: {remedy}")

    def _load(self, name: str) -> T:
        if name in self.own:
            found = getattr(importlib.import_module(self.own[name]), self._attribute)
            assert isinstance(found, self._kind), name
            return found
        point = self.others[name]
        whose = package_of(point)
        found = self._brought(point, whose)
        if not isinstance(found, self._kind):
            wrong = f"{one_line(point.value, 80)} has no {self._attribute} that is a {self._kind.__name__}"
            raise self.refusal(f"{name}, of the package {whose}, cannot be used: {wrong}", f"update {whose}")
        return found

    def _brought(self, point: EntryPoint, whose: str) -> Any:
        try:
            found = point.load()
        except (Exception, SystemExit) as error:  # whatever a stranger's module raises while it is imported
            wrong = one_line(f"{type(error).__name__}: {error}", 120)
            raise self.refusal(
                f"{point.name}, of the package {whose}, cannot be imported ({wrong})", f"mend {whose}"
            ) from error
        return found if point.attr else getattr(found, self._attribute, None)


def package_of(point: EntryPoint) -> str:
    """The name of the package that an entry point is of, or where it leads, where nothing names that."""
    try:
        name = point.dist.name if point.dist is not None else ""
    except Exception:  # its metadata is not whole
        name = ""
    return one_line(name or point.value, 60)


def _entry_points(group: str) -> tuple[list[EntryPoint], list[str]]:
    """Those of all packages that are installed, and a line for each package whose list cannot be read."""
    from importlib.metadata import distributions, entry_points

    try:
        return list(entry_points(group=group)), []
    except Exception:  # one of them has a list that is none, which spoils it for all
        found: list[EntryPoint] = []
        wrong = []
        for package in distributions():
            try:
                found += package.entry_points.select(group=group)
            except Exception as error:
                where = getattr(package, "_path", None) or "a package"
                told = one_line(f"{type(error).__name__}: {error}", 80)
                wrong.append(f"the entry points of {one_line(str(where), 120)} cannot be read ({told})")
        return found, wrong

"""How a value of each type is read from JSON and held to its bounds: a form a type, made from a dataclass's annotations."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Protocol, SupportsFloat, SupportsIndex, TypeVar, Union, get_args, get_origin, get_type_hints

from vectors.errors import VectorError
from vectors.files.bounds import DEEPEST, MOST_MEMBERS, Always, AtMost, Between, Text
from vectors.plain_text import one_line

T = TypeVar("T")


class Unfit(VectorError):
    """A value that is of another type than it should be, or out of its bounds; `place` leads to it."""

    def __init__(self, wrong: str, place: str = "") -> None:
        super().__init__(f"{place if len(place) <= 80 else '…' + place[-79:]} {wrong}" if place else f"it {wrong}")
        self.wrong, self.place = wrong, place

    def inside(self, part: str | int) -> Unfit:
        """The same, seen from the object or the list whose `part` it is about."""
        own = f"[{part}]" if isinstance(part, int) else one_line(part, 40)
        return Unfit(self.wrong, own + ("." if self.place and not self.place.startswith("[") else "") + self.place)


class Form(Protocol):
    """How values of one type are read and checked; both raise Unfit. `depth` says how far within others the value stands."""

    def read(self, value: Any, depth: int) -> Any: ...

    def check(self, value: Any, depth: int) -> None: ...


@dataclass(frozen=True)
class _Number:
    whole: bool
    bounds: Between

    def read(self, value: Any, depth: int) -> Any:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            raise self._unfit(value)
        self.check(value, depth)
        return value if self.whole else float(value)

    def check(self, value: Any, depth: int) -> None:
        # The protocols are asked last: that takes many times as long.
        if not isinstance(value, (int, float)):  # a number of numpy's, whose own type may not reach to the bounds
            if isinstance(value, str) or not isinstance(value, SupportsIndex if self.whole else SupportsFloat):
                raise self._unfit(value)
            value = value.__index__() if isinstance(value, SupportsIndex) else float(value)
        elif self.whole and isinstance(value, float):
            raise self._unfit(value)
        if not self.bounds.low <= value <= self.bounds.high:  # NaN is in no bounds
            raise self._unfit(value)

    def _unfit(self, value: Any) -> Unfit:
        low, high = (f"{bound:,}" if abs(bound) < 1e15 else f"{bound:.3g}" for bound in (self.bounds.low, self.bounds.high))
        return Unfit(f"is {_shown(value)}, not a {'whole ' if self.whole else ''}number from {low} to {high}")


@dataclass(frozen=True)
class _Text:
    bounds: Text

    def read(self, value: Any, depth: int) -> str:
        if not isinstance(value, str):
            raise Unfit(f"is {_shown(value)}, not a text")
        try:
            text = self.bounds.clean(value)
        except ValueError as error:
            raise Unfit(f"is {_shown(value)}: {one_line(str(error), 60)}") from None
        self.check(text, depth)
        return text

    def check(self, value: Any, depth: int) -> None:
        if not isinstance(value, str):
            raise Unfit(f"is {_shown(value)}, not a text")
        if len(value) > self.bounds.most:
            raise Unfit(f"has {len(value):,} characters, and may have {self.bounds.most:,}")


class _Flag:
    def read(self, value: Any, depth: int) -> bool:
        self.check(value, depth)
        return bool(value)

    def check(self, value: Any, depth: int) -> None:
        if not isinstance(value, bool):
            raise Unfit(f"is {_shown(value)}, not true or false")


@dataclass(frozen=True)
class _Either:
    """One of several types, or nothing. `read` takes the first that fits."""

    forms: tuple[Form, ...]
    optional: bool

    def read(self, value: Any, depth: int) -> Any:
        return self._first(lambda form: form.read(value, depth), value)

    def check(self, value: Any, depth: int) -> None:
        self._first(lambda form: form.check(value, depth), value)

    def _first(self, attempt: Callable[[Form], Any], value: Any) -> Any:
        if value is None and self.optional:
            return None
        for form in self.forms[:-1]:
            try:
                return attempt(form)
            except Unfit:
                continue
        return attempt(self.forms[-1])


@dataclass(frozen=True)
class _List:
    """A list of one type, or, with `every`, of these types in this order."""

    make: Callable[[list[Any]], Any]
    each: Form | None
    every: tuple[Form, ...]
    bounds: AtMost

    def read(self, value: Any, depth: int) -> Any:
        if not isinstance(value, (list, tuple)):  # a tuple where it is what is about to be written
            raise Unfit(f"is {_shown(value)}, not a list")
        return self.make([_within(form.read, one, i, depth) for i, (form, one) in enumerate(self._forms(value))])

    def check(self, value: Any, depth: int) -> None:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise Unfit(f"is {_shown(value)}, not a list")
        for i, (form, one) in enumerate(self._forms(value)):
            _within(form.check, one, i, depth)

    def _forms(self, value: Sequence[Any]) -> zip[tuple[Form, Any]]:
        if self.each is None and len(value) != len(self.every):
            raise Unfit(f"has {len(value)} members, not {len(self.every)}")
        if len(value) > self.bounds.count:
            raise Unfit(f"has {len(value):,} members, and may have {self.bounds.count:,}")
        forms = self.every if self.each is None else [self.each] * len(value)
        return zip(forms, value, strict=True)


@dataclass(frozen=True)
class _Mapping:
    key: Form
    value: Form
    bounds: AtMost

    def read(self, value: Any, depth: int) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Unfit(f"is {_shown(value)}, not an object")
        self._check_size(value)
        return {self.key.read(key, depth): _within(self.value.read, one, key, depth) for key, one in value.items()}

    def check(self, value: Any, depth: int) -> None:
        if not isinstance(value, Mapping):
            raise Unfit(f"is {_shown(value)}, not an object")
        self._check_size(value)
        for key, one in value.items():
            self.key.check(key, depth)
            _within(self.value.check, one, key, depth)

    def _check_size(self, value: Mapping[str, Any]) -> None:
        if len(value) > self.bounds.count:
            raise Unfit(f"has {len(value):,} members, and may have {self.bounds.count:,}")


@dataclass(frozen=True)
class _Free:
    """Whatever JSON can say; its texts within `bounds`. A number that is not finite stands in memory only (`dumps`)."""

    bounds: Text

    def read(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return self._form(value).read(value, depth)

    def check(self, value: Any, depth: int) -> None:
        if value is not None and not isinstance(value, (bool, float)):
            self._form(value).check(value, depth)

    def _form(self, value: Any) -> Form:
        if isinstance(value, Mapping):
            return _Mapping(_Text(self.bounds), self, AtMost(MOST_MEMBERS))
        if isinstance(value, (list, tuple)):
            return _List(list, self, (), AtMost(MOST_MEMBERS))
        return _Text(self.bounds) if isinstance(value, str) else _Number(True, _ANY[int])


@dataclass(frozen=True)
class Record:
    """A dataclass, which checks itself when it is made if it calls `check`."""

    kind: Any

    @property
    def fields(self) -> tuple[tuple[str, Form, bool], ...]:
        return _fields(self.kind)

    def read(self, value: Any, depth: int) -> Any:
        if not isinstance(value, dict):
            raise Unfit(f"is {_shown(value)}, not an object")
        given: dict[str, Any] = {}
        for name, form, default in self.fields:
            one = value.get(name)
            if one is not None:
                given[name] = _within(form.read, one, name, depth)
            elif name in value and isinstance(form, _Either) and form.optional:
                given[name] = None
            elif not default:
                raise Unfit("is null" if name in value else "is missing", name)
        return self.kind(**given)

    def check(self, value: Any, depth: int) -> None:
        if not isinstance(value, self.kind):
            raise Unfit(f"is {_shown(value)}, not of the kind {self.kind.__name__}")
        for name, form, _ in self.fields:
            _within(form.check, getattr(value, name), name, depth)


def _within(do: Callable[[Any, int], Any], value: Any, part: str | int, depth: int) -> Any:
    """Does it to a part of something that stands at `depth`."""
    try:
        if depth >= DEEPEST:
            raise Unfit(f"is nested more than {DEEPEST} deep")
        return do(value, depth + 1)
    except Unfit as error:
        raise error.inside(part) from None


# What a type without bounds beside it may hold.
_ANY = {int: Between(-(1 << 63), (1 << 63) - 1), float: Between(-1.7e308, 1.7e308)}


@cache
def _fields(kind: Any) -> tuple[tuple[str, Form, bool], ...]:
    """The fields that a file may hold: name, form, and whether it may lack it."""
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for one in fields(kind):
        default = one.default is not MISSING or one.default_factory is not MISSING
        found.append((one.name, _form(hints[one.name]), default and Always not in get_args(hints[one.name])))
    return tuple(found)


def _form(hint: Any, bounds: tuple[Any, ...] = ()) -> Form:
    origin, inner = get_origin(hint), get_args(hint)

    def bound(kind: type[T], default: T) -> T:
        return next((one for one in bounds if isinstance(one, kind)), default)

    if origin is Annotated:
        return _form(inner[0], (*bounds, *inner[1:]))
    if origin in (Union, types.UnionType):
        members = tuple(_form(one, bounds) for one in inner if one is not type(None))
        return _Either(members, type(None) in inner)
    if hint is bool:
        return _Flag()
    if hint in _ANY:
        return _Number(hint is int, bound(Between, _ANY[hint]))
    if hint is str:
        return _Text(bound(Text, Text()))
    if hint is Any:
        return _Free(bound(Text, Text()))
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return Record(hint)
    count = bound(AtMost, AtMost(MOST_MEMBERS))
    if origin in (list, tuple):
        alike = origin is list or inner[-1] is Ellipsis
        return _List(origin, _form(inner[0], bounds) if alike else None, () if alike else tuple(map(_form, inner)), count)
    if origin in (dict, Mapping):
        return _Mapping(_form(inner[0], bounds), _form(inner[1], bounds), count)
    raise TypeError(f"{hint} has no form that a file can hold")


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(one_line(value[:60], 40))
    if isinstance(value, int) and value.bit_length() > 64:  # Python writes none of thousands of digits
        return "a number of more than 64 bits"
    return repr(value) if isinstance(value, (bool, int, float, type(None))) else type(value).__name__

"""How a method or a metric declares what it can be told: a frozen dataclass, readable without torch.

    @dataclass(frozen=True)
    class Settings(Declared):
        top: Annotated[int, Option("how many tokens a vector", label="Tokens", low=1, high=1000)] = 8

A field with an `Option` beside its type can be told. From it come the command line's flag, the form's field, the check before a
model is loaded and the row in the docs' table. A type is bool, int, float, str, `tuple[float, ...]` (a list of numbers, which
may also be given as text) or `tuple[str, ...]` (prompts, or a file of them); with `| None` beside it, None is `auto`.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from core.errors import SettingsError
from vectors.plain_text import one_line

T = TypeVar("T")
AUTO = "auto"
_YES, _NO = "yes", "no"
_LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Option:
    """What is said of a setting. `help` is a clause for the command line and the docs, `about` sentences for the form.

    `low`, `high` bound numbers; `above` is below all of them, and `below`, beside it, above all. Of a text, `choices` are the
    words to choose from; `names` says in a form what each is (of a switch: off, on). `default` says what None comes to. `when`
    is a setting and the values of it with which this one means something. `required` says why there must be a value. `vector`:
    the name of one in the library. `path`: the name of a file, taken as it stands. `advanced`: most leave it alone. `check`
    raises SettingsError for a value that the bounds cannot tell of; `told` says in a form what a text comes to, and raises
    SettingsError for one that comes to nothing. `aliases` are flags of earlier versions, `group` is the heading of the command
    line's help.
    """

    help: str
    label: str = ""
    about: str = ""
    flag: str = ""
    metavar: str = ""
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    default: str = ""
    when: tuple[str, tuple[object, ...]] | None = None
    required: str = ""
    vector: bool = False
    path: bool = False
    advanced: bool = False
    check: Callable[[Any], object] | None = None
    told: Callable[[str], str] | None = None
    aliases: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Setting:
    """A declared field: its `option` with its `name`, type (`kind`, of each where `many`), and default."""

    name: str
    kind: type
    many: bool
    optional: bool
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        return self.option.flag or "--" + self.name.replace("_", "-")

    @property
    def label(self) -> str:
        return self.option.label or self.name.replace("_", " ").capitalize()

    @property
    def prompts(self) -> bool:
        return self.many and self.kind is str

    @property
    def default_text(self) -> str:
        """What the setting is where nothing is said, for people; empty where that is nothing."""
        if self.option.default:
            return self.option.default
        return "" if self.default in (None, (), "") or self.kind is bool else self.text(self.default)

    def text(self, value: Any) -> str:
        """`value` as it is typed."""
        if value is None:
            return AUTO if self.kind is not str else ""
        if isinstance(value, bool):
            return _YES if value else _NO
        if isinstance(value, (list, tuple)):
            return ("\n" if self.prompts else ",").join(self.text(one) for one in value)
        return f"{value:.12g}" if isinstance(value, float) else str(value)

    def read(self, text: str) -> Any:
        """The value that `text`, typed, means. Raises SettingsError."""
        text = text if self.option.path and text.strip() else text.strip()
        if not text and self.option.required:
            raise SettingsError(self.option.required)
        if self.optional and text in (("",) if self.kind is str else (AUTO, "")):
            return None
        if self.kind is bool and text in (_YES, _NO):
            return text == _YES
        if self.prompts:
            value: Any = tuple(line for line in text.split("\n") if line.strip())
        elif self.many:
            value = self._numbers(text)
        else:
            value = text if self.kind is str else self._number(text)
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Raises SettingsError for a value that the setting cannot have."""
        if value is None and self.optional:
            return
        if self.many:
            value = self._numbers(value) if isinstance(value, str) and not self.prompts else value
            if isinstance(value, str) or not isinstance(value, (list, tuple)):
                raise self._unfit(value)
            if not value and not self.prompts:
                raise self._unfit("")
            for one in value:
                self._check_one(one)
        else:
            self._check_one(value)

    def made(self, value: Any) -> Any:
        """`value`, once checked, as the dataclass holds it."""
        if not self.many or value is None:
            return value
        return self._numbers(value) if isinstance(value, str) else tuple(value)

    @property
    def needs(self) -> str:
        """What a value must be, for a sentence."""
        option = self.option
        if option.choices:
            return f"one of {', '.join(option.choices)}"
        if self.kind in (bool, str):
            return f"{_YES} or {_NO}" if self.kind is bool else "prompts" if self.many else "a text"
        what = (
            ("whole numbers" if self.many else "a whole number") if self.kind is int else "numbers" if self.many else "a number"
        )
        auto = f" or {AUTO}" if self.optional else ""
        return what + (" with commas between" if self.many else "") + self._span() + auto

    def _span(self) -> str:
        """The bounds of a number, behind what it is."""
        option = self.option
        high = "" if option.high is None else f"{option.high:,.12g}"
        if option.above is not None:
            most = f" and at most {high}" if high else "" if option.below is None else f" and below {option.below:g}"
            return f" above {option.above:g}{most}"
        if option.low is None:
            return f" of at most {high}" if high else ""
        low = f"{option.low:,.12g}"
        return f" from {low} to {high}" if high else f" of at least {low}"

    def _number(self, text: str) -> Any:
        try:
            return int(text) if self.kind is int else float(text)
        except ValueError:
            raise self._unfit(text) from None

    def _numbers(self, text: str) -> tuple[Any, ...]:
        return tuple(self._number(word.strip()) for word in text.split(",") if word.strip())

    def _check_one(self, value: Any) -> None:
        option = self.option
        right = (int, float) if self.kind is float else self.kind
        if not isinstance(value, right) or (isinstance(value, bool) and self.kind is not bool):
            raise self._unfit(value)
        if option.choices and value not in option.choices:
            raise self._unfit(value)
        if option.check is not None:
            option.check(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            low = option.low is None or value >= option.low
            high = (option.high is None or value <= option.high) and (option.below is None or value < option.below)
            finite = abs(value) <= _LARGEST  # a whole number may be beyond it too
            if not (low and high and (option.above is None or value > option.above) and finite):
                raise self._unfit(value)

    def _unfit(self, value: Any) -> SettingsError:
        shown = f"{value:.12g}" if isinstance(value, float) else str(value)
        given = f", not {one_line(shown, 40)}" if shown.strip() else ""
        return SettingsError(f"{self.needs} {'are' if self.many else 'is'} needed{given}")


class Declared:
    """A dataclass of settings: values out of their bounds are refused with SettingsError when it is made."""

    def __post_init__(self) -> None:
        for setting in declared(type(self)).values():
            _checked(setting, getattr(self, setting.name))


def declared(kind: Any) -> Mapping[str, Setting]:
    """The settings of the dataclass `kind` that can be told, by name, in their order."""
    return _declared(kind) if hasattr(kind, "__dataclass_fields__") else {}


@cache
def _declared(kind: Hashable) -> Mapping[str, Setting]:
    assert isinstance(kind, type)
    hints = get_type_hints(kind, include_extras=True)
    found = {}
    for field in fields(kind):
        hint = hints[field.name]
        option = next((one for one in get_args(hint)[1:] if isinstance(one, Option)), None)
        if get_origin(hint) is not Annotated or option is None:
            continue
        inner = get_args(hint)[0]
        members = [one for one in get_args(inner) if one is not type(None)] if _is_union(inner) else [inner]
        many = get_origin(members[0]) is tuple
        of = get_args(members[0])[0] if many else members[0]
        if len(members) > 1 or of not in (bool, int, float, str):
            raise TypeError(f"{kind.__name__}.{field.name}: {inner} cannot be told")
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        default = None if default is MISSING else default
        found[field.name] = Setting(field.name, of, many, _is_union(inner), default, option)
    return found


def with_auto(setting: Setting, default: str) -> Setting:
    """`setting`, whose None comes to `default` here."""
    about = f"{setting.option.about} auto: {default.removeprefix(AUTO + ', ')}."
    return replace(setting, option=replace(setting.option, default=default, about=about))


def check_apart(own: type[Declared], shared: type[Declared]) -> None:
    """Raises TypeError where a method or metric declares what all of them have: a form has one field of a name."""
    if taken := [name for name in declared(own) if name in declared(shared)]:
        raise TypeError(f"{taken[0]!r} is an option of all: call it otherwise")


def made(kind: type[T], given: Mapping[str, Any], whose: str, **others: Any) -> T:
    """The `kind` with the settings `given` by name and the fields `others`; None of a setting that cannot be None says nothing.

    Raises SettingsError, which names the flag, for one that it has not, is out of bounds, or lacks though it is required.
    """
    known = declared(kind)
    values = {name: value for name, value in given.items() if value is not None or (name in known and known[name].optional)}
    if stray := [name for name in values if name not in known]:
        raise SettingsError(f"{whose} has no setting {stray[0]!r}", f"it has: {', '.join(known) or 'none'}")
    for name, setting in known.items():
        if setting.option.required and not values.get(name):
            raise SettingsError(setting.option.required, f"give it with {setting.flag}")
        if name in values:
            _checked(setting, values[name])
            values[name] = setting.made(values[name])
    return kind(**values, **others)


def _checked(setting: Setting, value: Any) -> None:
    try:
        setting.check(value)
    except SettingsError as error:
        raise SettingsError(f"{setting.flag}: {error}", error.remedy) from None


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)

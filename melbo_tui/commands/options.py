"""Options of methods and metrics as arguments of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from core.errors import SettingsError
from core.files.text_files import lines_of
from core.registry import Registry
from core.specs import Setting
from melbo_tui.commands.output import note
from melbo_tui.commands.prompts import PROMPT_FILE

T = TypeVar("T")


def add_settings(group: Any, settings: Iterable[Setting], shown: bool = True) -> None:
    """Adds a flag for each of `settings`, in the help if `shown`; `given_settings` reads them. Raises SettingsError where the
    command has such a flag.
    """
    for setting in settings:
        try:
            _add_setting(group, setting, shown)
        except argparse.ArgumentError as error:
            raise SettingsError(
                f"{setting.flag} cannot be an option: {error}", "the package that declares it must fix it"
            ) from None


def _add_setting(group: Any, setting: Setting, shown: bool) -> None:
    option, default = setting.option, setting.default_text
    about = (f"{option.help} (default: {default})" if default else option.help).replace("%", "%%")
    flags = (setting.flag, *option.aliases)
    more: dict[str, Any] = {"dest": _dest(setting), "help": about if shown else argparse.SUPPRESS, "default": argparse.SUPPRESS}
    if setting.kind is bool:
        group.add_argument(*flags, action="store_true", **more)
    elif option.choices:
        group.add_argument(*flags, choices=option.choices, **more)
    elif setting.prompts:
        group.add_argument(*flags, action="append", metavar=option.metavar or "TEXT", **more)
        group.add_argument(f"{setting.flag}-file", dest=f"{_dest(setting)}_file", metavar="FILE", help=PROMPT_FILE)
    else:
        group.add_argument(*flags, type=_reader(setting), metavar=option.metavar or None, **more)


def given_settings(args: argparse.Namespace, settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Those of `settings` that were given, with the prompts that files hold. Raises SettingsError for a file."""
    given = {name: getattr(args, _dest(setting)) for name, setting in settings.items() if hasattr(args, _dest(setting))}
    for name, setting in settings.items():
        if file := getattr(args, f"{_dest(setting)}_file", None):
            given[name] = [*given.get(name, ()), *lines_of(file, note)]
    return given


def add_declared(registry: Registry[T], words: Sequence[str] | None, add: Callable[[str, T], object]) -> None:
    """Calls `add` for those of `registry` that are named among the command line's `words`, for all where none is.

    Other packages are imported only when theirs are named or all are listed. Raises SettingsError for one that is named and has
    something wrong; among all, it hides none of the others.
    """
    known = frozenset(words or ())
    own = [name for name in registry.own if name in known]
    if not own and known & registry.reserved:
        return
    named = own or [name for name in registry.others if name in known]
    for name in named or registry:
        try:
            add(name, registry[name])
        except SettingsError:
            if named:
                raise


def add_force(group: Any) -> None:
    """`--force`, beside an `--out`."""
    group.add_argument("--force", action="store_true", help="replace the file of --out if it exists")


def _dest(setting: Setting) -> str:
    """What the value is called among the arguments, where the command has some of its own."""
    return f"setting_{setting.name}" + ("_path" if setting.option.path else "")


def _reader(setting: Setting) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = setting.read(text)
        except SettingsError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text if setting.many else value  # a list of numbers is kept as it was typed

    return read

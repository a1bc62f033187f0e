"""The command line: what a pane does, a command does. Without a command, the app opens."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from core.engine.openmp import spin_briefly
from core.errors import OUT_OF_MEMORY_REMEDY, MelboError, is_out_of_memory
from core.model.quantising import QUANTISED
from core.model.source import ModelSpec
from melbo_tui import __version__
from melbo_tui.commands import COMMANDS, HAVE_DECLARED, streams
from melbo_tui.commands.arguments import as_text, is_path
from melbo_tui.commands.interruption import Stopped, handled, stopped
from melbo_tui.commands.output import fail
from melbo_tui.terminal import prepare_terminal
from vectors.errors import FileTaken
from vectors.plain_text import one_line
from vectors.store.index import LibraryError
from vectors.vector import VectorError

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


class OneLineParser(argparse.ArgumentParser):
    """Wrong usage is told in one line; the whole usage is a --help away.

    Options have two dashes, but for -h: whatever else begins with one is a value, as in `--coefficients -1,1` and `--steer -a`.
    """

    def _parse_optional(self, arg_string: str) -> Any:
        """argparse's own takes for an option what begins with a dash, unless it is a number or has a space."""
        if arg_string.startswith("-") and not arg_string.startswith("--") and arg_string not in self._option_string_actions:
            return None
        return super()._parse_optional(arg_string)

    def _print_message(self, message: str, file: object = None) -> None:
        """argparse's own passes over what cannot be written."""
        (streams.write if file is sys.stdout else streams.complain)(message)

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"{self.prog}: {one_line(message)} ({self.prog} --help lists the options)\n")


def build_parser(words: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """The command line; of `words`, only the commands that are named among them have their options, the others are listed.

    The common options stand before or behind the command.
    """
    parser = OneLineParser(
        prog="melbo-tui",
        description="Train, read and use unsupervised steering vectors for chat models. Without a command, the app opens.",
        parents=[_common(top=True)],
    )
    parser.add_argument("--version", action="version", version=f"melbo-tui {__version__}")
    about = "paint once a second, within 6 KB/s (default: as chosen in the app)"
    parser.add_argument("--low-bandwidth", action=argparse.BooleanOptionalAction, help=about)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    common = _common(top=False)
    for command, about in COMMANDS.items():
        if words is None or command in words:
            module = importlib.import_module(f"melbo_tui.commands.{command}")
            if command in HAVE_DECLARED:
                module.add_parser(subparsers, common, words)
            else:
                module.add_parser(subparsers, common)
        else:
            subparsers.add_parser(command, help=about, add_help=False)
    return parser


def _common(top: bool) -> argparse.ArgumentParser:
    """The options of every command. Below the top they have no defaults, or they would overwrite what stood before."""
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("common options")

    def option(name: str, default: object = None, **kwargs: object) -> None:
        group.add_argument(name, default=default if top else argparse.SUPPRESS, **kwargs)  # type: ignore[arg-type]

    option("--model", metavar="M", help="bundled (default), smollm2, a folder, a .gguf file or a hub id")
    option("--adapter", metavar="A", help="folder of a PEFT adapter to load it with (on `bundled`: in place of its own)")
    option("--revision", metavar="REV", help="the hub revision to load")
    option("--library", metavar="DIR", help="where vectors are kept (default: the user data folder)")
    dtypes = ["auto", "float32", "bfloat16", "float16"]
    option("--dtype", "auto", choices=dtypes, help="auto: float32 on a CPU, else the checkpoint's own")
    option("--device", "auto", metavar="D", help="auto, cpu, cuda, cuda:N or mps")
    option("--device-map", metavar="MAP", help="spread the model over devices (accelerate), for example auto")
    limits = "memory for weights, by device, for example 0=20GiB,cpu=60GiB; implies --device-map auto"
    option("--max-memory", metavar="LIMITS", type=_limits, help=limits)
    option("--quantise", choices=QUANTISED, help="quantise the weights as they are loaded (bitsandbytes)")
    option("--trust-remote-code", False, action="store_true", help="run code that the model's authors ship with it")
    option("--json", False, action="store_true", help="print JSON instead of text")
    option("--debug", False, action="store_true", help="show tracebacks")
    return common


def _limits(text: str) -> str:
    """The text again, where it can be read as what `--max-memory` wants."""
    from core.model.placement import max_memory

    try:
        max_memory(text)
    except MelboError as error:
        raise argparse.ArgumentTypeError(f"{error} ({error.remedy})") from error
    return text


def model_spec(args: argparse.Namespace) -> ModelSpec:
    model = args.model or ModelSpec.model
    return ModelSpec(
        model,
        args.adapter,
        args.revision,
        args.dtype,
        args.device,
        args.device_map,
        args.trust_remote_code,
        args.quantise,
        args.max_memory,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and gives its exit code: 0 done, 1 failed, 2 wrong usage, 128+n ended by signal n (Ctrl-C: 130)."""
    spin_briefly()
    debugging = False
    try:
        streams.prepare()
        args = _read(argv)
        debugging = args.debug
        return _run(args)
    except KeyboardInterrupt as stop:
        fail("interrupted; everything finished is kept")
        return 128 + stop.number if isinstance(stop, Stopped) else INTERRUPTED
    except streams.ReaderGone:
        return FAILED
    except (MelboError, LibraryError, VectorError) as error:
        if debugging:
            import traceback

            traceback.print_exc()
        remedy = "--force replaces it" if isinstance(error, FileTaken) else getattr(error, "remedy", "")
        fail(str(error) or type(error).__name__, remedy)
        return _pointed_out(error)
    except Exception as error:
        if debugging:
            raise
        if is_out_of_memory(error):
            fail("out of memory", OUT_OF_MEMORY_REMEDY)
            return FAILED
        from core.log import fault_remedy

        fail(f"{type(error).__name__}: {error}", fault_remedy())
        return FAILED


def _pointed_out(error: Exception) -> int:
    """Shows where in an expression it is wrong, and gives the exit code: a text that is no expression is wrong usage."""
    from melbo_tui.commands.naming import NoExpression
    from vectors.expression import ExpressionError

    if isinstance(error, ExpressionError) and error.column > 1:
        streams.complain("".join(f"  {line}\n" for line in error.lines()))
    return WRONG_USAGE if isinstance(error, NoExpression) else FAILED


def _read(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments. Leaves with code 2 where they cannot be understood, also for bytes that are no text."""
    if "_ARGCOMPLETE" in os.environ:  # set by the shell that wants a word completed
        import argcomplete

        argcomplete.autocomplete(build_parser())
    parser = build_parser(sys.argv[1:] if argv is None else argv)
    args = parser.parse_args(argv)
    for name, value in vars(args).items():
        if not is_path(name):
            try:
                setattr(args, name, as_text(value))
            except ValueError as error:
                parser.error(f"argument {name.removeprefix('setting_').replace('_', ' ')}: {error}")
    args.spec = model_spec(args)
    return args


def _run(args: argparse.Namespace) -> int:
    if args.command is None:
        # What is made before the first frame stays: to look through it for garbage would take a tenth of the time.
        gc.disable()
        prepare_terminal()
        from melbo_tui.opening import open_app

        return open_app(args)
    from core.log import failed
    from melbo_tui.log import logged

    with logged(args.command), handled():
        try:
            return int(args.run(args))
        except Exception as error:
            gone = isinstance(error, streams.ReaderGone)
            if (gone or isinstance(error, streams.OutputError)) and (by_signal := stopped(error)):
                raise by_signal from None
            if not gone:
                failed(args.command, error)
            raise

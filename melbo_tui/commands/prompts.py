"""What commands that look at prompts share: their options, the prompts, and taking up unfinished work."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from core.errors import SettingsError
from core.limits import THOUGHT_TOKENS
from core.model.source import ModelSpec
from core.prompt import Prompt, check_no_template
from core.template_arguments import parse_arguments, shared_arguments
from vectors.vector import Origin

PROMPT_FILE = "a file of prompts, one a line, or .csv, .tsv, .json, .jsonl"


def add_prompts(group: Any, about: str) -> None:
    """`--prompt`, `--prompt-ids` and how they are asked; `about` says what becomes of several prompts."""
    group.add_argument("--prompt", action="append", default=[], metavar="TEXT", help=f"a prompt (repeatable{about})")
    group.add_argument("--prompt-ids", action="append", default=[], type=_ids, metavar="1,2,3", help="a prompt as token ids")
    add_asking(group)


def add_asking(group: Any, what: str = "prompt") -> None:
    """`--system`, `--template` and `--raw`: how a `what` is put to the model."""
    group.add_argument("--system", metavar="TEXT", help="the system text (default: the chat template's own)")
    about = "an argument of the chat template, such as enable_thinking=false (repeatable)"
    group.add_argument("--template", action="append", default=[], type=_argument, metavar="KEY=VALUE", help=about)
    group.add_argument("--raw", action="store_true", help=f"use the {what} without the chat template")


def add_thoughts(group: Any, default: int = THOUGHT_TOKENS) -> None:
    """`--thought-tokens`, beside the option that limits answers."""
    about = f"most tokens of a thinking model's thought (default: {default})"
    group.add_argument("--thought-tokens", type=int, default=default, metavar="N", help=about)


def template_of(args: argparse.Namespace, origins: Iterable[Origin] = ()) -> dict[str, Any]:
    """The template's arguments: those that were given, else those that the vectors of `origins` were trained with."""
    given = {key: value for one in args.template for key, value in one.items()}
    if args.raw:
        check_no_template(args.system, given)
        return {}
    return given or shared_arguments(origins)


def prompt_of(args: argparse.Namespace, text: str, origins: Iterable[Origin] = ()) -> Prompt:
    """`text` as the command line would have it asked."""
    return Prompt(text, system=args.system, raw=args.raw, template=template_of(args, origins))


def prompts_of(
    args: argparse.Namespace, instead: list[str] | None = None, origins: Sequence[Origin] = ()
) -> tuple[Prompt, ...]:
    """The prompts that were given; the texts `instead` where there are none. `origins`: of the vectors that they are for."""
    texts = args.prompt or ([] if args.prompt_ids else instead or [])
    if args.prompt_ids and not texts:
        check_no_template(args.system, template_of(args))
    prompts = [prompt_of(args, text, origins) for text in texts]
    return (*prompts, *(Prompt(ids=ids) for ids in args.prompt_ids))


def check_nothing_new(args: argparse.Namespace, *others: Any) -> None:
    """Raises SettingsError where unfinished work is to be taken up otherwise than it was asked for."""
    if args.prompt or args.prompt_ids or any(others):
        raise SettingsError("unfinished work is resumed with its own settings", "give --resume alone")


def same_model(args: argparse.Namespace, spec: ModelSpec | None) -> None:
    """Takes the model that the work was begun on, where it is known and the command names none."""
    if spec is not None and args.model is None:
        args.spec = spec


def _argument(text: str) -> dict[str, Any]:
    try:
        return parse_arguments([text])
    except SettingsError as error:
        raise argparse.ArgumentTypeError(f"{error} ({error.remedy})") from None


def _ids(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of token ids like 1,2,3") from None

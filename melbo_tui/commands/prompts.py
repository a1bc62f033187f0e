"""What commands that look at prompts share: their options, the prompts, and taking up unfinished work."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from core.errors import SettingsError
from core.model_source import ModelSpec
from core.requests import Prompt

PROMPT_FILE = "a file of prompts, one a line, or .csv, .tsv, .json, .jsonl"


def add_prompts(group: Any, about: str) -> None:
    """`--prompt`, `--prompt-ids`, `--system` and `--raw`; `about` says what becomes of several prompts."""
    group.add_argument("--prompt", action="append", default=[], metavar="TEXT", help=f"a prompt (repeatable{about})")
    group.add_argument("--prompt-ids", action="append", default=[], type=_ids, metavar="1,2,3", help="a prompt as token ids")
    group.add_argument("--system", metavar="TEXT", help="the system text (default: the chat template's own)")
    group.add_argument("--raw", action="store_true", help="no chat template: the prompt as it stands")


def prompts_of(args: argparse.Namespace, instead: list[str] | None = None) -> tuple[Prompt, ...]:
    """The prompts that were given; the texts `instead` where there are none."""
    texts = args.prompt or ([] if args.prompt_ids else instead or [])
    prompts = [Prompt(text=text, system=args.system, raw=args.raw) for text in texts]
    return (*prompts, *(Prompt(ids=ids) for ids in args.prompt_ids))


def check_nothing_new(args: argparse.Namespace, *others: Any) -> None:
    """Raises SettingsError where unfinished work is to be taken up otherwise than it was asked for."""
    if args.prompt or args.prompt_ids or any(others):
        raise SettingsError("unfinished work is taken up as it was asked for at first", "give --resume alone")


def same_model(args: argparse.Namespace, header: Mapping[str, Any]) -> None:
    """Takes the model that the work was begun on, where the command names none."""
    if header.get("spec") is not None and args.model is None:
        args.spec = ModelSpec(**header["spec"])


def _ids(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of token ids like 1,2,3") from None

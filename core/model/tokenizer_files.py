"""Which tokenizer and chat template a model is talked to with: those that lie with its adapter come first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import ModelError, first_line
from core.model.claims import text_of

_NAMES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


def load_tokenizer(auto: Any, folder: Path, adapter: Path | None, trust_remote_code: bool) -> Any:
    """The tokenizer of the adapter's folder, else of the model's, by transformers' `auto` class; None where neither has one."""
    place = adapter if adapter is not None and _has(adapter, _NAMES) else folder
    if not has_tokenizer(place):
        return None
    tokenizer = auto.from_pretrained(place, trust_remote_code=trust_remote_code)
    _check(tokenizer, place)
    if place == folder:
        # An adapter may bring a template and no tokenizer.
        if adapter is not None and _has(adapter, ("chat_template.jinja",)):
            tokenizer.chat_template = _template(adapter / "chat_template.jinja")
    elif not tokenizer.chat_template:
        own = load_tokenizer(auto, folder, None, trust_remote_code)
        tokenizer.chat_template = own.chat_template if own is not None else None
    return tokenizer


def _template(path: Path) -> str:
    try:
        return text_of(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ModelError(f"{path.name} of {path.parent.name} cannot be read ({why})", "fetch it again") from error


def _check(tokenizer: Any, place: Path) -> None:
    """Raises ModelError where the tokenizer cannot read and write a word: any value may stand in its settings."""
    try:
        tokenizer.decode(tokenizer("a word")["input_ids"])
    except Exception as error:  # each setting fails in a way of its own
        raise ModelError(
            f"the tokenizer of {place.name} fails on a word ({first_line(error)})",
            "the fault is in tokenizer.json or tokenizer_config.json: fetch them again",
        ) from error


def has_tokenizer(folder: Path) -> bool:
    """Whether `folder` holds a tokenizer's files."""
    return _has(folder, (*_NAMES, "tokenizer_config.json"))


def _has(folder: Path, names: tuple[str, ...]) -> bool:
    return any((folder / name).is_file() for name in names)

"""A chat template rendered as transformers does it, but in a confined process: templates are programs that strangers wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.processes.confined import confined

_RENDERER = "transformers.utils.chat_template_utils:render_jinja_template"
_USUAL = "transformers.tokenization_utils_base"
# What a template may write of its own, beside the words that it is given, which it may repeat.
_OWN_CHARACTERS, _REPEATS = 1_000_000, 8


def warm_up() -> None:
    """Makes ready what renders, beside whatever else is done, so that the first prompt does not wait for it."""
    confined.warm(_RENDERER)


def render(tokenizer: Any, messages: Sequence[Mapping[str, Any]], prompt: bool, own: Mapping[str, Any]) -> str:
    """The conversation as text; `prompt`: with the beginning of an answer behind it. `own`: arguments of the template.

    Raises Exceeded for a template that takes too much, Raised for what it raised.
    """
    if (
        getattr(tokenizer.apply_chat_template, "__module__", "") != _USUAL
    ):  # a kind whose format is code of its own, and no template
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt, **own))
    arguments = dict(own)
    template = tokenizer.get_chat_template(arguments.pop("chat_template", None))
    given = {
        "conversations": [list(messages)],
        "chat_template": template,
        "add_generation_prompt": prompt,
        **tokenizer.special_tokens_map,
        **arguments,
    }
    words = sum(len(str(message["content"])) for message in messages)
    rendered = confined.call(_RENDERER, given, _OWN_CHARACTERS + _REPEATS * words)
    return str(rendered[0][0])

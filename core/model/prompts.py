"""A prompt as the token ids that the model sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.errors import SettingsError
from core.model.language_model import LanguageModel
from core.model.thoughts import Thinking
from core.prompt import Prompt
from vectors.plain_text import one_line

_OPENING = 16  # tokens of a prompt's end in which the mark stands that opens a thought


def prompt_ids(model: LanguageModel, prompt: Prompt) -> tuple[int, ...]:
    """Token ids of `prompt`: as given, raw, or as the user's message in the chat template. Raises SettingsError."""
    if prompt.ids:
        return fitting(model, prompt.ids)
    if prompt.raw:
        return fitting(model, model.encode(prompt.text), prompt.text)
    return chat_ids(model, prompt.messages, prompt.template)


def pinned(model: LanguageModel, prompt: Prompt) -> Prompt:
    """`prompt` with today's date among its template's arguments where the template writes it: as it can be asked again."""
    if prompt.ids or prompt.raw:
        return prompt
    return replace(prompt, template=model.chat_template.pinned(prompt.template))


def thinking(model: LanguageModel, ids: Sequence[int]) -> Thinking:
    """What follows the thought of an answer to the prompt `ids`; the prompt itself may have begun it."""
    return Thinking(model.chat_template.marks, model.spelled(ids[-_OPENING:]), model.spelled)


def chat_ids(model: LanguageModel, messages: Sequence[tuple[str, str]], template: Mapping[str, Any]) -> tuple[int, ...]:
    """Token ids of a conversation, (role, text) pairs, that the model is to answer. Raises SettingsError."""
    ids = model.encode_chat([{"role": role, "content": text} for role, text in messages], template)
    return fitting(model, ids, messages[-1][1] if messages else "")


def fitting(model: LanguageModel, ids: Sequence[int], text: str = "") -> tuple[int, ...]:
    """`ids`, of a prompt that ends with `text`, where there are some, and room for a token behind. Raises SettingsError."""
    if not ids:
        raise SettingsError("the prompt is empty", "type what the model should be asked")
    if len(ids) >= model.context_length:
        called = f"the prompt {one_line(text, 40)!r}" if text else "the prompt"
        takes = f"{model.stamp.name} takes {model.context_length:,} with the answer"
        raise SettingsError(f"{called} has {len(ids):,} tokens; {takes}", "cut it")
    return tuple(ids)

"""A prompt as the token ids that the model sees."""

from __future__ import annotations

from core.errors import SettingsError
from core.language_model import LanguageModel
from core.requests import Prompt, ReplyRow


def prompt_ids(model: LanguageModel, prompt: Prompt) -> tuple[int, ...]:
    """Token ids of `prompt`: as given, raw, or as the user's message in the chat template. Raises SettingsError."""
    if prompt.ids:
        return prompt.ids
    if prompt.raw:
        return _not_empty(model.encode(prompt.text))
    messages = [{"role": "user", "content": prompt.text}]
    if prompt.system is not None:
        messages.insert(0, {"role": "system", "content": prompt.system})
    return _not_empty(model.encode_chat(messages, prompt.template))


def row_ids(model: LanguageModel, row: ReplyRow) -> tuple[int, ...]:
    """Token ids of a conversation that the model is to answer."""
    if row.ids:
        return row.ids
    if row.raw:
        return _not_empty(model.encode(row.messages[-1][1]))
    return _not_empty(model.encode_chat([{"role": role, "content": text} for role, text in row.messages]))


def _not_empty(ids: list[int]) -> tuple[int, ...]:
    if not ids:
        raise SettingsError("the prompt is empty", "type what the model should be asked")
    return tuple(ids)

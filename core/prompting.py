"""A prompt as the token ids that the model sees."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import SettingsError
from core.language_model import LanguageModel
from core.requests import Prompt, ReplyRow


def prompt_ids(model: LanguageModel, prompt: Prompt) -> tuple[int, ...]:
    """Token ids of `prompt`: as given, raw, or as the user's message in the chat template. Raises SettingsError."""
    if prompt.ids:
        return _fitting(model, prompt.ids)
    if prompt.raw:
        return _fitting(model, model.encode(prompt.text))
    messages = [{"role": "user", "content": prompt.text}]
    if prompt.system is not None:
        messages.insert(0, {"role": "system", "content": prompt.system})
    return _fitting(model, model.encode_chat(messages, prompt.template))


def row_ids(model: LanguageModel, row: ReplyRow) -> tuple[int, ...]:
    """Token ids of a conversation that the model is to answer."""
    if row.ids:
        return _fitting(model, row.ids)
    if row.raw:
        return _fitting(model, model.encode(row.messages[-1][1]))
    return _fitting(model, model.encode_chat([{"role": role, "content": text} for role, text in row.messages]))


def _fitting(model: LanguageModel, ids: Sequence[int]) -> tuple[int, ...]:
    """`ids` where there are some, and room for a token behind them. Raises SettingsError."""
    if not ids:
        raise SettingsError("the prompt is empty", "type what the model should be asked")
    if len(ids) >= model.context_length:
        raise SettingsError(
            f"the prompt has {len(ids):,} tokens; {model.stamp.name} takes {model.context_length:,} with the answer", "cut it"
        )
    return tuple(ids)

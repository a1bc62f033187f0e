"""A model's text and its tokens, whatever the tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from core.errors import ModelError
from core.model.templates import ChatTemplate, Message
from vectors.vector import ModelStamp

_ENDLESS = 1 << 30  # tokens: a model whose config gives no limit


class Tokens:
    """The part of a LanguageModel that encodes and decodes. Raises ModelError where the model has no tokenizer."""

    model: Any
    tokenizer: Any
    config: Any
    stamp: ModelStamp

    def encode(self, text: str) -> list[int]:
        """The token ids of `text`, with whatever the tokenizer puts at a text's start."""
        return list(self._tokenizer()(text)["input_ids"])

    def encode_chat(self, messages: Sequence[Message], template: Mapping[str, Any] | None = None) -> list[int]:
        """The token ids of a conversation, ready for the model's answer, in the model's own chat template.

        `template`: arguments of the template. Raises ModelError where it would not let all words through.
        """
        return self.chat_template.encode(messages, template or {})

    @cached_property
    def chat_template(self) -> ChatTemplate:
        return ChatTemplate(self._tokenizer(), self.stamp.name)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer().decode(list(ids), skip_special_tokens=True))

    def spelled(self, ids: Sequence[int]) -> str:
        """The text of `ids` with special tokens spelled out in it."""
        return str(self._tokenizer().decode(list(ids)))

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        return [str(self._tokenizer().decode([i])) for i in ids]

    @property
    def has_tokenizer(self) -> bool:
        return self.tokenizer is not None

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer: those that the settings name, and the one that the chat template ends a turn with."""
        settings = getattr(self.model, "generation_config", None)
        listed = getattr(settings, "eos_token_id", None)
        ids = listed if isinstance(listed, list) else [listed]
        own = [getattr(self.tokenizer, "eos_token_id", None), self.config.eos_token_id]
        own = [i for o in own for i in (o if isinstance(o, list) else [o])]
        named = frozenset(i for i in [*ids, *own] if isinstance(i, int))
        ends = self.chat_template.ends if self.has_tokenizer else frozenset()
        # Where the template tells its end, an ordinary word that the settings name is a slip of theirs.
        return named & self.chat_template.control_ids | ends if ends else named

    @property
    def context_length(self) -> int:
        """How many tokens the model takes, a prompt and what is generated behind it together."""
        most = getattr(self.config, "max_position_embeddings", None)
        return most if isinstance(most, int) and 0 < most < _ENDLESS else _ENDLESS

    def _tokenizer(self) -> Any:
        if self.tokenizer is None:
            raise ModelError(f"{self.stamp.name} has no tokenizer", "give the prompt as token ids: --prompt-ids 1,2,3")
        return self.tokenizer

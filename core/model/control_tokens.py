"""Control tokens of a tokenizer, and text that spells one without meaning it: it is read as the text that it is."""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import Any

# Characters that no text has a use for; they stand around a number in place of a control token's name.
_BEGIN, _END = "\ue0f1", "\ue0f2"
_HIDDEN = re.compile(f"{_BEGIN}(\\d+){_END}")


def added_tokens(tokenizer: Any) -> dict[int, Any]:
    """The tokens that were added to the vocabulary, by id; each has `content` and `special`."""
    return dict(getattr(tokenizer, "added_tokens_decoder", {}))


class ControlTokens:
    """The control tokens of `tokenizer`: its special ones, and of its other added ones those that stand in `written`.

    Other added tokens, such as runs of spaces, are how a model reads ordinary text, and stay so. Templates write users'
    words between `hide` and `encode`: what spells a control token there cannot be told from the template's own otherwise.
    """

    def __init__(self, tokenizer: Any, written: str) -> None:
        self._tokenizer = tokenizer
        special = set(getattr(tokenizer, "all_special_tokens", ()))
        self.ids: dict[str, int] = {
            token.content: int(id)
            for id, token in added_tokens(tokenizer).items()
            if token.content.strip()
            and (token.special or token.content in special or (token.content in written and token.content[0] in "<["))
        }
        names = sorted(self.ids, key=len, reverse=True)
        self._spelled = re.compile("|".join(map(re.escape, names)) if names else "(?!)")

    def at_start(self, text: str) -> int | None:
        """The id of the control token that `text` begins with."""
        found = self._spelled.match(text)
        return self.ids[found[0]] if found else None

    def hide(self, text: str) -> str:
        """`text` with what spells a control token put out of sight."""
        return self._spelled.sub(lambda found: f"{_BEGIN}{self.ids[found[0]]}{_END}", _HIDDEN.sub("", text))

    def encode(self, text: str, **how: Any) -> list[int]:
        """The token ids of `text`; what was hidden in it is read as the text that it was."""
        if not _HIDDEN.search(text):
            return list(self._tokenizer(text, **how)["input_ids"])
        if self._deaf is None:
            return self._in_pieces(text, **how)
        # What is still in sight is the template's. It takes the hidden form, the only one the deaf tokenizer knows.
        swapped = re.sub(
            f"{_HIDDEN.pattern}|{self._spelled.pattern}",
            lambda found: self._name(int(found[1])) if found[1] else f"{_BEGIN}{self.ids[found[0]]}{_END}",
            text,
        )
        encoded = self._deaf.encode(swapped, add_special_tokens=how.get("add_special_tokens", True))
        own = {f"{_BEGIN}{id}{_END}": id for id in self.ids.values()}
        return [own.get(token, id) for id, token in zip(encoded.ids, encoded.tokens, strict=True)]

    def _name(self, id: int) -> str:
        return next(name for name, own in self.ids.items() if own == id)

    @cached_property
    def _deaf(self) -> Any:
        """The tokenizer with its control tokens known by hidden names alone; None where it cannot be rewritten so."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if backend is None:
            return None
        data = json.loads(backend.to_str())
        hidden = {name: f"{_BEGIN}{id}{_END}" for name, id in self.ids.items()}
        for token in data["added_tokens"]:
            token["content"] = hidden.get(token["content"], token["content"])
        model = data["model"]
        if isinstance(model["vocab"], dict):
            model["vocab"] = {hidden.get(word, word): id for word, id in model["vocab"].items()}
        else:
            model["vocab"] = [[hidden.get(word, word), score] for word, score in model["vocab"]]
        if model.get("unk_token") in hidden:
            model["unk_token"] = hidden[model["unk_token"]]
        return type(backend).from_str(json.dumps(data))

    def _in_pieces(self, text: str, **how: Any) -> list[int]:
        """For tokenizers of other kinds: each hidden name is cut in two and read apart, so that no token is recognised."""
        parts: list[str] = []
        for i, piece in enumerate(_HIDDEN.split(text)):
            parts += [piece] if i % 2 == 0 else [self._name(int(piece))[:1], self._name(int(piece))[1:]]
        first, *rest = (part for part in parts if part)
        ids = list(self._tokenizer(first, **how)["input_ids"])
        return ids + [id for part in rest for id in self._tokenizer(part, add_special_tokens=False)["input_ids"]]

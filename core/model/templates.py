"""A tokenizer's chat template: whatever it is like, each message's words reach the model, or it is told why they cannot."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

from core.errors import Cancelled, MelboError, ModelError, SettingsError, first_line
from core.model.control_tokens import ControlTokens, added_tokens
from core.model.rendering import render
from core.model.thoughts import Marks, marks_in
from core.processes.confined import Exceeded, Raised

Message = Mapping[str, Any]
_T = TypeVar("_T")
_Arrangement = Callable[[Sequence[Message]], list[Message]]

# What is ours to say, or would have a template do something else than render a conversation.
_RESERVED = frozenset(
    "conversation messages tokenize add_generation_prompt continue_final_message sanitize_control_tokens padding truncation "
    "max_length return_tensors return_dict return_assistant_tokens_mask tokenizer_kwargs".split()
)
_NAME, _DATE = "chat_template", "date"
_TODAY = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")
_COSTLY_REMEDY = (
    "the fault is the template's, in tokenizer_config.json or chat_template.jinja: mend it there; --raw does without it"
)
_REMEDY = "--template KEY=VALUE gives it what it needs, --raw does without it"


class CostlyTemplate(ModelError):
    """A template that would compute for ever, or fill the memory, with the messages at hand."""


class ChatTemplate:
    """The chat template of `tokenizer`, of the model called `model`. Methods raise ModelError or SettingsError."""

    def __init__(self, tokenizer: Any, model: str) -> None:
        self._tokenizer, self._model = tokenizer, model
        self._known: dict[Any, Any] = {}

    def encode(self, messages: Sequence[Message], arguments: Mapping[str, Any]) -> list[int]:
        """The token ids of a conversation, ready for the model's answer.

        Without a template the messages' plain text. A system text for which the template has no place stands at the head of
        the first user's message; where roles must alternate, neighbours are joined and empty answers left out.
        """
        hidden = [{**message, "content": self._control.hide(message["content"])} for message in messages]
        if not self._source:
            if arguments:
                raise SettingsError(f"{self._model} has no chat template", "leave out --template")
            return self._control.encode("\n\n".join(message["content"] for message in hidden))
        own = self._checked(arguments)
        text = self._render(self._arrangement(messages, own)(hidden), own)
        self._check_words(hidden, text)
        # The template has written the special tokens already; adding them again would double the first.
        return self._control.encode(text, add_special_tokens=False)

    def pinned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`arguments` with today's date where the template writes it, so that tomorrow's prompt is the same."""
        asks = self._source and _DATE not in arguments and _TODAY.search(self._source)
        return {**arguments, _DATE: date.today().isoformat()} if asks else dict(arguments)

    @property
    def marks(self) -> Marks | None:
        """How a thought is told from the answer; None for a model that does not think."""
        added = (token.content for token in added_tokens(self._tokenizer).values())
        return self._once("marks", lambda: marks_in([self._source, *added]))

    @property
    def ends(self) -> frozenset[int]:
        """The token that ends the assistant's turn in the template, as a set; empty where text ends it, or cannot be told."""
        return self._once("ends", self._find_ends)

    @property
    def control_ids(self) -> frozenset[int]:
        """The ids of all tokens that are no text."""
        return frozenset(self._control.ids.values())

    # Inside

    @property
    def _source(self) -> str:
        """The template's text; of several named ones, all."""
        template = getattr(self._tokenizer, "chat_template", None)
        texts = list(template.values()) if isinstance(template, dict) else [template or ""]
        if not all(isinstance(text, str) for text in texts):
            raise ModelError(f"the chat template of {self._model} is no text", _REMEDY)
        return "\n".join(texts)

    @property
    def _control(self) -> ControlTokens:
        return self._once("control", self._find_control)

    def _once(self, key: Any, find: Callable[[], _T]) -> _T:
        """What `find` gives, found once a template: a tokenizer may be given another one."""
        place = (self._source, key)
        if place not in self._known:
            self._known[place] = find()
        found: _T = self._known[place]
        return found

    def _checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the renderer is given for `arguments`. Raises SettingsError for those that the template does not know."""
        own, template = dict(arguments), getattr(self._tokenizer, "chat_template", None)
        name = str(own.pop(_NAME, "default"))
        if isinstance(template, dict):
            if name not in template:
                raise SettingsError(
                    f"{self._model} has several chat templates and none called {name}",
                    f"choose one: --template {_NAME}={'|'.join(sorted(template))}",
                )
            template = template[name]
        elif _NAME in arguments:
            raise SettingsError(f"{self._model} has one chat template, so none can be chosen", f"leave out {_NAME}")
        assert isinstance(template, str)
        if _DATE in own and _TODAY.search(self._source):
            template = _dated(template, str(own.pop(_DATE)))
        for key in own:
            if key in _RESERVED or not re.search(rf"\b{re.escape(key)}\b", template):
                raise SettingsError(f"the chat template of {self._model} knows no {key}", "is it spelled right?")
        return own if template == self._tokenizer.chat_template else {**own, _NAME: template}

    def _render(self, messages: Sequence[Message], own: Mapping[str, Any], prompt: bool = True) -> str:
        try:
            return render(self._tokenizer, messages, prompt, own)
        except Exceeded as error:
            raise CostlyTemplate(f"the chat template of {self._model} {error}", _COSTLY_REMEDY) from error
        except (MelboError, Cancelled):
            raise
        except Exception as error:  # templates refuse what they do not like by raising whatever they like
            raise ModelError(
                f"the chat template of {self._model} fails ({error if isinstance(error, Raised) else first_line(error)})",
                _REMEDY,
            ) from error

    def _arrangement(self, messages: Sequence[Message], own: Mapping[str, Any]) -> _Arrangement:
        """How messages of these roles must be put for all of their words to come out."""
        shape = tuple((message["role"], bool(message["content"].strip())) for message in messages)
        return self._once((shape, repr(own)), lambda: self._find_arrangement(shape, own))

    def _find_arrangement(self, shape: Sequence[tuple[str, bool]], own: Mapping[str, Any]) -> _Arrangement:
        words = [f"word{i}of{len(shape)}" for i in range(len(shape))]
        trial = [{"role": role, "content": word if full else ""} for (role, full), word in zip(shape, words, strict=True)]
        first: ModelError | None = None
        for arrange in _ARRANGEMENTS:
            try:
                text = self._render(arrange(trial), own)
            except CostlyTemplate:
                raise
            except ModelError as error:
                first = first or error
                continue
            lost = [role for (role, full), word in zip(shape, words, strict=True) if full and word not in text]
            if not lost and "'type'" not in text:  # a list of parts that is written as it stands is no text
                return arrange
            if lost:
                missing = f"the chat template of {self._model} leaves out the {lost[0]}'s words"
                first = first or ModelError(missing, _REMEDY)
        raise first or ModelError(f"the chat template of {self._model} writes no text", _REMEDY)

    def _check_words(self, messages: Sequence[Message], text: str) -> None:
        """Raises ModelError where the template drops words for what they say. Words of its own it may have a use for."""
        for message in messages:
            # Of earlier answers a template may leave out the thoughts.
            if message["role"] == "assistant" or message["content"] in text:
                continue
            missing = [word for word in message["content"].split() if word not in text and word not in self._source]
            if missing:
                raise ModelError(
                    f"the chat template of {self._model} changes or leaves out the {message['role']}'s {missing[0]!r}", _REMEDY
                )

    def _find_control(self) -> ControlTokens:
        marks = self.marks
        written = self._source + (marks.open + marks.close if marks is not None else "")
        return ControlTokens(self._tokenizer, written)

    def _find_ends(self) -> frozenset[int]:
        if not self._source:
            return frozenset()
        asked, word = {"role": "user", "content": "question"}, "wordOfTheAnswer"
        talk = [asked, {"role": "assistant", "content": word}]
        # Where nothing ends the turn, the next one's beginning does.
        for messages in (talk, [*talk, asked]):
            for arrange in (_as_they_are, _in_parts):
                try:
                    text = self._render(arrange(messages), self._checked({}), prompt=False)
                except CostlyTemplate:
                    return frozenset()  # each prompt says so; to try again would take as long
                except (ModelError, SettingsError):
                    continue
                end = self._control.at_start(text.partition(word)[2].lstrip())
                if end is not None:
                    return frozenset([end])
        return frozenset()


def _dated(template: str, day: str) -> str:
    """`template` with the date `day` (YYYY-MM-DD) in place of today's."""
    try:
        when = date.fromisoformat(day)
    except ValueError:
        raise SettingsError(f"{day!r} is no date", "write it as date=2026-11-26") from None
    return _TODAY.sub(lambda found: repr(time.strftime(found[2], when.timetuple())), template)


def _as_they_are(messages: Sequence[Message]) -> list[Message]:
    return list(messages)


def _in_parts(messages: Sequence[Message]) -> list[Message]:
    """As templates of models that see and hear want it: a list of parts in place of a text."""
    return [{**message, "content": [{"type": "text", "text": message["content"]}]} for message in messages]


def _folded(messages: Sequence[Message]) -> list[Message]:
    """The system text at the head of the message that follows it."""
    system, *rest = messages
    if system["role"] != "system" or not rest:
        return list(messages)
    return [{**rest[0], "content": _joined(system["content"], rest[0]["content"])}, *rest[1:]]


def _alternating(messages: Sequence[Message]) -> list[Message]:
    """Without empty answers, and with neighbours of one role joined."""
    turns: list[Message] = []
    for message in _folded(messages):
        if message["role"] == "assistant" and not message["content"].strip():
            continue
        if turns and turns[-1]["role"] == message["role"]:
            message = {**message, "content": _joined(turns.pop()["content"], message["content"])}
        turns.append(message)
    return turns


def _joined(first: str, second: str) -> str:
    return "\n\n".join(text for text in (first, second) if text)


_ARRANGEMENTS: tuple[_Arrangement, ...] = (
    _as_they_are,
    _in_parts,
    _folded,
    lambda messages: _in_parts(_folded(messages)),
    _alternating,
    lambda messages: _in_parts(_alternating(messages)),
)

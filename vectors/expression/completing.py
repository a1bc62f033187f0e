"""What could stand where somebody is typing: names, and what stands behind `@`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vectors.expression.parts import AT_FORMS, SAID
from vectors.expression.tokens import FORMS
from vectors.expression.words import BARE, NUMBER, unquoted, written_name

_NAME = r'"[^"]*+(?:""[^"]*+)*+"?+|[\w./:-]*+'
# A term from the spaces before it on, whatever of it there is.
_TERM = re.compile(rf" *+(?:(?:{NUMBER.pattern}) ++)?+!?+(?P<name>{_NAME})(?P<number>=(?:{NUMBER.pattern})?+)?+")
_GATE = re.compile(rf"@when:(?P<name>{_NAME})(?P<compare>[<>](?:{NUMBER.pattern})?+)?+")
_PART = re.compile(r'@(?P<word>[^ @"]*+)')
_SIGN = re.compile(" ++[-+](?= )")
# `first:N` is typed up to the colon; what is whole is offered whole.
_TYPED = tuple(dict.fromkeys(form if form in (*SAID, "blocks:all") else re.sub("(?<=:).*", "", form) for form in AT_FORMS))
_MOST_TYPED = 20_000  # characters; nobody types more, and every key asks again
_ONE_OF = ({form.partition(":")[0] for form in FORMS} | {"from"}, {"blocks"}, set(SAID), {"when"})  # a term has one of each


@dataclass(frozen=True)
class Replacement:
    """`text` is to stand for the characters from index `start` up to `end` of what is typed."""

    start: int
    end: int
    text: str

    def applied(self, typed: str) -> str:
        """What is typed, completed."""
        return typed[: self.start] + self.text + typed[self.end :]


def completions(text: str, cursor: int, names: Iterable[str]) -> list[Replacement]:
    """What could stand at `cursor`, an index of `text`: names that begin as what is typed (case aside), in their order, quoted
    where they need it; what stands behind `@` and is not there yet; behind `@when:`, names. What is right of the cursor stays.
    """
    typed = text[:cursor]
    if len(typed) > _MOST_TYPED:
        return []
    what, start, term = _place(typed) or ("", -1, 0)
    if what == "part":
        word = typed[start:]
        open_ = (form for form in _open_parts(typed, term) if form.startswith(word))
        return [Replacement(start, cursor, form) for form in open_ if form != word or not form.endswith(":")]
    found = []
    whole = len(typed) - len(typed.lstrip(" "))  # a name with spaces and signs may be typed as it is
    for name in names:
        folded = name.casefold()
        if what == "name" and folded.startswith(_begun(typed[start:])):
            found.append(Replacement(start, cursor, written_name(name)))
        elif whole < cursor and start != whole and folded.startswith(typed[whole:].casefold()):
            found.append(Replacement(whole, cursor, written_name(name)))
    return found


def completed_texts(text: str, names: Iterable[str]) -> list[str]:
    """Everything that `text`, typed up to its end, could become: what a shell's completer is asked for."""
    return [one.applied(text) for one in completions(text, len(text), names)]


def _begun(word: str) -> str:
    """The beginning of a name that a bare or a quoted word, perhaps not closed, stands for."""
    return (unquoted(word + '"') if word.startswith('"') else word).casefold()


def _place(typed: str) -> tuple[str, int, int] | None:
    """What is being typed at the end, a `name` or a `part`: where it begins, and where its term does. None: neither."""
    lead = re.match(" *+-?+", typed)
    at = lead.end() if lead else 0
    while (term := _TERM.match(typed, at)) is not None:
        begun, at = term.start(), term.end()
        if at == len(typed):
            return None if term["number"] is not None or _closed(term["name"]) else ("name", term.start("name"), begun)
        if not _is_name(term["name"]):
            return None
        while (part := _GATE.match(typed, at) or _PART.match(typed, at)) is not None:
            at = part.end()
            if at == len(typed):
                return _place_in(part, begun)
        sign = _SIGN.match(typed, at)
        if sign is None:
            return None
        at = sign.end()
    return None


def _place_in(part: re.Match[str], begun: int) -> tuple[str, int, int] | None:
    if part.re is _PART:
        return "part", part.start("word"), begun
    return None if part["compare"] is not None or _closed(part["name"]) else ("name", part.start("name"), begun)


def _closed(word: str) -> bool:
    """Whether a quoted name is whole."""
    return len(word) > 1 and word.startswith('"') and word.count('"') % 2 == 0


def _is_name(word: str) -> bool:
    return bool(BARE.fullmatch(word) and not NUMBER.fullmatch(word)) or (_closed(word) and word != '""')


def _open_parts(typed: str, begun: int) -> Iterator[str]:
    """What may stand behind the last @ of the term that begins at `begun`: nothing that it says already."""
    term = re.sub('"[^"]*+"', "", typed[begun : typed.rindex("@")])
    heads = {part.partition(":")[0] for part in term.split("@")[1:]}
    if re.match(rf" *+(?:(?:{NUMBER.pattern}) ++)?+!", term):
        heads.add("add")
    said = set().union(*(group for group in _ONE_OF if group & heads))
    return (form for form in _TYPED if form.partition(":")[0] not in said)

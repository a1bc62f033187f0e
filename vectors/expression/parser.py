"""Reads an expression from a text, in time that grows with its length; the grammar stands in the package's docstring."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from itertools import chain, count
from typing import Any

from vectors.expression.error import ExpressionError, Place, character_name, shown
from vectors.expression.parts import part_of
from vectors.expression.tree import MOST_TERMS, Expression, Gate, Term
from vectors.expression.words import BARE, NUMBER, QUOTED, check_name, harm, number_of, unquoted, written_name
from vectors.files.bounded import LABEL

MOST_CHARACTERS = 1 << 22  # the normal form of the longest expression is shorter
Known = Container[str] | Callable[[str], bool]
_ONCE = {
    "tokens": "a term says once which tokens are steered",
    "blocks": "a term says once at which blocks",
    "operation": "a term has one operation, and ! is one",
    "gate": "a term has one gate",
}
# What text programs and papers print for plain signs.
_PLAIN = (
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
    | dict.fromkeys("“”„«»", '"')
    | dict.fromkeys("\xa0\u2003\u2009\t", "a space")
)
_SPACES, _SIGN, _PART = re.compile(" ++"), re.compile("[-+] ++"), re.compile(r'[^ @"=]*+')


def parse(text: str, known: Known = ()) -> Expression:
    """The expression that `text` writes. Raises ExpressionError, which says where and what is possible there.

    `known` tells whether a text is a name or an id of the library: the whole text, or what stands before a final `=NUMBER`,
    that is one means that vector, whatever it looks like. Names are not looked up otherwise: see `Expression.resolved`.
    """
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError(f"a text of {len(text):,} characters is no expression; it has at most {MOST_CHARACTERS:,}")
    whole = _known_term(text, known if callable(known) else known.__contains__)
    return Expression((whole,)) if whole is not None else Expression(tuple(_Reader(text).terms()))


def written(expression: Expression, known: Known = ()) -> str:
    """The normal form, as `str` gives it, unless it would be taken for a name that `known` has: `a - b` is then `"a" - "b"`.

    Where `known` has that too, zeros are put before the first coefficient; a text that is longer than any name ends it.
    """
    text = str(expression)
    if not expression:
        return text
    quoted = expression.text(lambda name: written_name(name) if '"' in name else f'"{name}"')
    unsigned = quoted.removeprefix("-")
    counted = unsigned if unsigned[0].isdigit() else f"1 {unsigned}"
    padded = (quoted[: len(quoted) - len(unsigned)] + "0" * zeros + counted for zeros in count())
    return next(form for form in chain((text, quoted), padded) if str(parse(form, known)) == text)


def _known_term(text: str, known: Callable[[str], bool]) -> Term | None:
    name = text.strip(" ")
    place = Place(text, len(text) - len(text.lstrip(" ")) + 1)
    if _may_be_known(name) and known(name):
        return Term(name, place=place)
    head, equals, number = name.rpartition("=")
    if equals and NUMBER.fullmatch(number) and _may_be_known(head) and known(head):
        try:
            return Term(head, number_of(number), place=place)
        except ValueError as error:
            raise ExpressionError(f"{shown(number)}: {error}", text, place.column + len(head) + 1) from None
    return None


def _may_be_known(name: str) -> bool:
    try:
        check_name(name)
    except ValueError:
        return False
    return True


class _Reader:
    """Reads `text` from `at`, an index, on."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def terms(self) -> list[Term]:
        self.take(_SPACES)
        sign = -1.0 if self.take_sign("-") else 1.0
        self.take(_SPACES)
        found = [self.term(sign)]
        while (between := self.sign()) is not None:
            if len(found) == MOST_TERMS:
                raise self.error(f"an expression has at most {MOST_TERMS:,} terms")
            found.append(self.term(between))
        return found

    def sign(self) -> float | None:
        """The sign between two terms; None at the end of the text."""
        spaces, sign = self.take(_SPACES), self.next
        if not sign:
            return None
        if not spaces:
            raise self.error(self.misplaced(sign))
        if sign not in "+-":
            possible = "between two terms stands + or -, between spaces"
            raise self.error(f"{sign} stands behind its name without a space" if sign in "@=" else self.odd(sign, possible))
        if len(self.text) == self.at + 1:
            raise self.error(f"a term is missing behind {sign}", self.at + 1)
        if not self.take(_SIGN):
            raise self.error(f"{sign} between two terms stands between spaces")
        return -1.0 if sign == "-" else 1.0

    def term(self, sign: float) -> Term:
        number = self.coefficient()
        ablates = self.take_sign("!")
        if ablates and self.next == " ":
            raise self.error("the name stands behind ! without a space")
        place = Place(self.text, self.at + 1)
        name = self.name()
        if self.next == "=":
            if ablates:
                raise self.error(f"the share that is removed stands before !, as in 0.5 !{written_name(name)}")
            if number is not None:
                raise self.error(f"the term has its coefficient already, {number:g}")
            self.at += 1
            number = self.number("a number, the coefficient, stands behind =")
        fields = self.parts(ablates)
        said = frozenset(fields)
        return Term(name, sign * (1.0 if number is None else number), **fields, said=said, place=place)

    def coefficient(self) -> float | None:
        if not NUMBER.match(self.text, self.at):
            return None
        start = self.at
        value = self.number("")
        if not self.take(_SPACES):
            number = shown(self.text[start : self.at])
            raise self.error(
                f'a name stands behind the number {number}, after a space; a name that is a number is written "{number}"'
            )
        return value

    def number(self, missing: str) -> float:
        start, found = self.at, self.take(NUMBER)
        if found is None:
            raise self.error(missing)
        try:
            return number_of(found)
        except ValueError as error:
            raise self.error(f"{shown(found)}: {error}", start) from None

    def name(self) -> str:
        start = self.at
        if self.next == '"':
            if (word := self.take(QUOTED)) is None:
                raise self.error("the double quote that opens here is not closed")
            name = unquoted(word)
        elif NUMBER.match(self.text, start):
            raise self.error('a name stands here; one that is a number stands in double quotes, as in "5"')
        elif word := self.take(BARE):
            name = word
        else:
            raise self.error(self.nameless(self.next))
        if len(name) <= LABEL and (place := harm(word)) is not None:
            raise self.error(f"{character_name(word[place])} cannot stand in a name", start + place)
        try:
            check_name(name)
        except ValueError as error:
            raise self.error(str(error), start) from None
        return name

    def parts(self, ablates: bool) -> dict[str, Any]:
        """The fields of a term that stand behind @."""
        found: dict[str, Any] = {"operation": "ablate"} if ablates else {}
        while self.next == "@":
            start = self.at
            self.at += 1
            field, value = self.part(start)
            if field in found:
                raise self.error(_ONCE[field], start)
            found[field] = value
        return found

    def part(self, start: int) -> tuple[str, Any]:
        if self.text.startswith("when:", self.at):
            self.at += len("when:")
            return "gate", self.gate()
        try:
            return part_of(self.take(_PART) or "")
        except ExpressionError as error:
            raise self.error(error.wrong, start) from None

    def gate(self) -> Gate:
        place = Place(self.text, self.at + 1)
        name, compare = self.name(), self.next
        if compare not in ("<", ">"):
            raise self.error("a gate is written when:NAME>X or when:NAME<X")
        self.at += 1
        return Gate(name, self.number(f"a number stands behind {compare}"), compare == ">", place=place)

    def nameless(self, found: str) -> str:
        """What is wrong where a name should stand and `found` does."""
        if not found:
            return "a name is missing: the text ends here"
        if found == "-":
            return "a name stands here; one that begins with - stands in double quotes"
        return self.odd(
            found, "a name stands here; one with other characters than letters, digits and _ . - / : stands in double quotes"
        )

    def misplaced(self, found: str) -> str:
        """What is wrong with the character `found` right behind a term."""
        if found == "=":
            return "= stands right behind the name, before any @, and once"
        return self.odd(found, "behind a name stands =NUMBER, @, or a space and + or -")

    def odd(self, found: str, possible: str) -> str:
        plain = f"; write {_PLAIN[found]} for it" if found in _PLAIN else ""
        return f"{character_name(found)} cannot stand here{plain}: {possible}"

    @property
    def next(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def take_sign(self, sign: str) -> bool:
        taken = self.next == sign
        self.at += taken
        return taken

    def error(self, wrong: str, at: int | None = None) -> ExpressionError:
        return ExpressionError(wrong, self.text, (self.at if at is None else at) + 1)

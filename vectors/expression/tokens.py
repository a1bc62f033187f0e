"""Which tokens of a sequence are steered."""

from __future__ import annotations

from dataclasses import dataclass

from vectors.expression.error import ExpressionError, shown
from vectors.expression.words import whole_number

MOST_POSITION = 999_999_999
MOST_LISTED = 256  # positions of one `at`
_PLAIN = ("all", "prompt", "generated")
# What the number of each is called, and the smallest that it may be.
_COUNTED = {"first": ("N", 1), "after": ("N", 0), "last": ("K", 1), "at": ("I,J", 0)}
_OLDER = {"from": "after"}
FORMS = (*_PLAIN, *(f"{kind}:{letter}" for kind, (letter, _) in _COUNTED.items()))
Span = tuple[int, int | None]


@dataclass(frozen=True)
class Tokens:
    """A set of token positions of a sequence whose prompt has P tokens. They count from 0; generated tokens go on from P.

    all         every position
    prompt      0 to P-1
    generated   P and on
    first:N     those below N
    after:N     N and on; older texts say from:N
    last:K      the last K of the PROMPT: max(P-K, 0) to P-1
    at:I,J      these; kept in rising order, each once
    """

    kind: str = "all"
    numbers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind in _PLAIN and not self.numbers:
            return
        letter, least = _COUNTED.get(self.kind, ("", 0))
        if not letter:
            raise ExpressionError(f"{shown(self.kind)!r} names no tokens; use {', '.join(FORMS)}")
        if not self.numbers or (self.kind != "at" and len(self.numbers) > 1):
            raise ExpressionError(f"{self.kind} is written {self.kind}:{letter}")
        _check_count(len(self.numbers))
        if not all(least <= number <= MOST_POSITION for number in self.numbers):
            raise ExpressionError(f"{self.kind} takes numbers from {least} to {MOST_POSITION:,}")
        object.__setattr__(self, "numbers", tuple(sorted(set(self.numbers))))

    @classmethod
    def parse(cls, text: str) -> Tokens:
        """Reads what `str` writes, and `from:N`. Raises ExpressionError."""
        head, colon, rest = text.partition(":")
        kind = _OLDER.get(head, head)
        if not colon:
            return cls(kind)
        if kind not in _COUNTED:
            return cls(text)
        letter, least = _COUNTED[kind]
        _check_count(rest.count(",") + 1)
        parts = rest.split(",")
        numbers = tuple(number for part in parts if (number := whole_number(part)) is not None)
        if len(numbers) < len(parts):
            wrong = next(part for part in parts if whole_number(part) is None)
            raise ExpressionError(
                f"{head}:{letter} takes whole numbers from {least} to {MOST_POSITION:,}, not {shown(wrong)!r}"
            )
        return cls(kind, numbers)

    def __str__(self) -> str:
        return ":".join((self.kind, *((",".join(map(str, self.numbers)),) if self.numbers else ())))

    def spans(self, prompt_length: int) -> tuple[Span, ...]:
        """The set as (first position, the one after the last; None: no end), rising and apart from each other.

        `last` of an empty prompt, and `prompt` of one, give one empty span.
        """
        if self.kind == "at":
            spans: list[tuple[int, int]] = []
            for number in self.numbers:
                if spans and spans[-1][1] == number:
                    spans[-1] = (spans[-1][0], number + 1)
                else:
                    spans.append((number, number + 1))
            return tuple(spans)
        n = self.numbers[0] if self.numbers else 0
        span: dict[str, Span] = {
            "prompt": (0, prompt_length),
            "generated": (prompt_length, None),
            "first": (0, n),
            "after": (n, None),
            "last": (max(prompt_length - n, 0), prompt_length),
        }
        return (span.get(self.kind, (0, None)),)

    def span(self, prompt_length: int) -> Span | None:
        """The set as the one span that it is; None where `at` leaves positions out between."""
        spans = self.spans(prompt_length)
        return spans[0] if len(spans) == 1 else None

    def includes(self, position: int, prompt_length: int) -> bool:
        """Whether the token at `position` is steered."""
        return any(first <= position and (end is None or position < end) for first, end in self.spans(prompt_length))


def _check_count(count: int) -> None:
    if count > MOST_LISTED:
        raise ExpressionError(f"at lists at most {MOST_LISTED} positions, not {count:,}")


ALL_TOKENS = Tokens()

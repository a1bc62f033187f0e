"""The rack: the vectors that steer the conversation, each with its coefficient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from core.steering.terms import SteerGate, Steering, SteerTerm, expression_of
from vectors.block_ranges import places, ranges
from vectors.expression import OPERATIONS, Blocks, Tokens
from vectors.expression.blocks import OWN_BLOCKS
from vectors.expression.tokens import ALL_TOKENS
from vectors.plain_text import one_line
from vectors.vector import SteeringVector

_STEP, _BIG_STEP, _SPAN = 0.1, 0.5, 3.0
_TOKENS = (ALL_TOKENS, Tokens("generated"), Tokens("last", (1,)))
_TOKEN_WORDS = {"all": "all tokens", "generated": "generated tokens", "last:1": "last prompt token"}


@dataclass(frozen=True)
class Slot:
    """One vector on the rack. A muted one stays there and does nothing."""

    vector: SteeringVector
    coefficient: float = 1.0
    muted: bool = False
    operation: str = "add"
    tokens: Tokens = ALL_TOKENS
    blocks: Blocks = OWN_BLOCKS
    gate: SteerGate | None = None

    @classmethod
    def of(cls, term: SteerTerm) -> Slot:
        return cls(term.vector, term.coefficient, False, term.operation, term.tokens, term.blocks, term.gate)

    def term(self) -> SteerTerm:
        return SteerTerm(self.vector, self.coefficient, self.operation, self.tokens, self.blocks, self.gate)

    @property
    def steers(self) -> bool:
        """Whether it changes anything: one that is muted does not, nor is zero times a vector added."""
        return not self.muted and (self.coefficient != 0 or self.operation != "add")

    def written(self) -> str:
        """The term as an expression writes it."""
        return str(expression_of((self.term(),)))


# Keeps a mixture, from (id, coefficient) terms and a name, and gives it as the library has it; None where it cannot be.
Keep = Callable[[tuple[tuple[str, float], ...], str], SteeringVector | None]


class Rack(Widget, can_focus=True):
    """Arrow keys select a row and change its coefficient; every change is posted as `Changed`."""

    BINDINGS = [
        Binding("left", "turn(-1)", "Less", id="rack.less", show=False, tooltip="Coefficient down by 0.1"),
        Binding("right", "turn(1)", "More", id="rack.more", show=False, tooltip="Coefficient up by 0.1"),
        Binding("shift+left", "turn(-5)", "Less", show=False),
        Binding("shift+right", "turn(5)", "More", show=False),
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("minus", "negate", "Negate", id="rack.negate"),
        Binding("0", "mute", "Mute", id="rack.mute", tooltip="Mute it, or unmute it"),
        Binding("v", "average", "Average", id="rack.average", tooltip="Replace all by their average"),
        Binding("o", "operation", "Operation", id="rack.operation", tooltip="add, keep the norm, set or ablate", show=False),
        Binding("t", "tokens", "Tokens", id="rack.tokens", tooltip="all tokens, generated ones, the prompt's last", show=False),
        Binding("x,delete", "remove", "Remove", id="rack.remove"),
    ]

    class Changed(Message):
        pass

    selected: reactive[int] = reactive(0)

    def __init__(self, keep: Keep) -> None:
        super().__init__(id="rack")
        self._keep = keep
        self.slots: list[Slot] = []
        self.border_title = "Rack"
        self.border_subtitle = "↑↓ pick · ←→ coef"

    @property
    def steering(self) -> Steering:
        return tuple(slot.term() for slot in self.slots if slot.steers)

    def add(self, vector: SteeringVector) -> None:
        """Puts a vector on the rack at coefficient 1; one that is there already is only chosen."""
        for i, slot in enumerate(self.slots):
            if slot.vector.id == vector.id and vector.id:
                self.selected = i
                self.refresh()
                return
        self.slots.append(Slot(vector))
        self.selected = len(self.slots) - 1
        self._changed()

    def put_back(self, slots: list[Slot]) -> None:
        """Puts slots on the rack as they once stood there."""
        self.slots, self.selected = slots, 0
        self._changed()

    def steer(self, steering: Steering) -> None:
        """Puts the terms of `steering` in the place of all that steers; what does not, as one that is muted, stays below."""
        named = {term.vector.id for term in steering}
        idle = [slot for slot in self.slots if not slot.steers and slot.vector.id not in named]
        self.put_back([*map(Slot.of, steering), *idle])

    def action_turn(self, steps: int) -> None:
        slot = self._slot()
        if slot is not None:
            turned = round((slot.coefficient + steps * _STEP) * 10) / 10
            self._put(replace(slot, coefficient=max(min(turned, 100.0), -100.0), muted=False))

    def action_move(self, by: int) -> None:
        if self.slots:
            self.selected = (self.selected + by) % len(self.slots)

    def action_negate(self) -> None:
        slot = self._slot()
        if slot is not None:
            self._put(replace(slot, coefficient=0.0 - slot.coefficient))

    def action_mute(self) -> None:
        slot = self._slot()
        if slot is not None:
            self._put(replace(slot, muted=not slot.muted))

    def action_operation(self) -> None:
        slot = self._slot()
        if slot is not None:
            at = OPERATIONS.index(slot.operation)
            self._put(replace(slot, operation=OPERATIONS[(at + 1) % len(OPERATIONS)]))

    def action_tokens(self) -> None:
        slot = self._slot()
        if slot is not None:
            at = _TOKENS.index(slot.tokens) if slot.tokens in _TOKENS else -1
            self._put(replace(slot, tokens=_TOKENS[(at + 1) % len(_TOKENS)]))

    def action_average(self) -> None:
        """Replaces the vectors by the average of coefficient x vector; their recipe is kept with it."""
        live = [slot for slot in self.slots if not slot.muted]
        if len(live) < 2:
            self.notify("Averaging takes at least two vectors that are not muted.")
            return
        if any(slot.operation != "add" or slot.blocks != OWN_BLOCKS or slot.gate is not None for slot in live):
            self.notify("An average is of vectors that are added at their own blocks: mute the others (0).")
            return
        if len({slot.tokens for slot in live}) > 1:
            self.notify("An average is of vectors that are added at the same tokens (t): mute the others (0).")
            return
        parts = [slot.vector.name if slot.coefficient == 1 else f"{slot.coefficient:g} {slot.vector.name}" for slot in live]
        terms = tuple((slot.vector.id, slot.coefficient / len(live)) for slot in live)
        mean = self._keep(terms, f"avg({', '.join(parts)})")
        if mean is None:
            return
        self.slots = [replace(slot, muted=True) for slot in self.slots]
        self.slots.append(Slot(mean, tokens=live[0].tokens))
        self.selected = len(self.slots) - 1
        self._changed()
        self.notify("The average steers now and is in the library; its parts are muted (0 unmutes one).")

    def action_remove(self) -> None:
        if self._slot() is not None:
            del self.slots[self.selected]
            self.selected = max(min(self.selected, len(self.slots) - 1), 0)
            self._changed()

    def on_click(self, event: events.Click) -> None:
        line = event.y - self.gutter.top
        at = self._top + line // 3
        if line >= 0 and at < len(self.slots):
            self.selected = at

    def watch_selected(self) -> None:
        self.refresh()

    def render(self) -> Text:
        if not self.slots:
            return Text(
                "No vector steers yet.\n\na adds one from the library, : types what steers; under Train, c brings one here.",
                style="dim",
            )
        colors = self.app.theme_variables
        text = Text(no_wrap=True, overflow="ellipsis")
        width = max(self.size.width, 20)
        for i, slot in list(enumerate(self.slots))[self._top :]:
            chosen = i == self.selected
            style = "dim" if slot.muted else ("bold" if chosen else "")
            text.append("▸ " if chosen else "  ", colors["primary"])
            text.append(one_line(slot.written(), width - 3) + "\n", style)
            text.append("  " + slider(slot.coefficient, width - 10), "dim" if slot.muted else colors["primary"])
            text.append(f" {slot.coefficient:+.1f}\n", style)
            text.append("  " + one_line(_facts(slot, width - 2), width - 2) + "\n", "dim")
        return text

    @property
    def _top(self) -> int:
        """Which slot stands first: the selected one is to be seen."""
        return max(self.selected - max(self.size.height // 3 - 1, 0), 0)

    def _slot(self) -> Slot | None:
        return self.slots[self.selected] if self.selected < len(self.slots) else None

    def _put(self, slot: Slot) -> None:
        self.slots[self.selected] = slot
        self._changed()

    def _changed(self) -> None:
        self.refresh(layout=True)
        self.post_message(self.Changed())


def _facts(slot: Slot, width: int) -> str:
    """Where the slot's vector acts and how, in `width` cells if it can be: what is a default goes first."""
    own = slot.vector.blocks
    short = ranges(own) if slot.blocks == OWN_BLOCKS else str(slot.blocks)
    long = places(own) if slot.blocks == OWN_BLOCKS else "all blocks" if short == "all" else f"blocks {short}"
    tokens, brief = _TOKEN_WORDS.get(str(slot.tokens), str(slot.tokens)), str(slot.tokens)
    gate = ["gated"] if slot.gate is not None else []
    how = [slot.operation, tokens, *gate]
    unusual = [slot.operation] * (slot.operation != "add") + [brief] * (slot.tokens != ALL_TOKENS) + gate
    muted = ["muted"] if slot.muted else []
    lines = [" · ".join([*muted, *parts]) for parts in ([long, *how], [short, *how], [long, *unusual], [short, *unusual])]
    return next((line for line in lines if len(line) <= width), lines[-1])


def slider(value: float, width: int) -> str:
    """A slider from -3 to 3 in `width` cells, its middle marked; a value beyond stands at the end."""
    inside = max(width - 2, 5)
    at = round((min(max(value, -_SPAN), _SPAN) + _SPAN) / (2 * _SPAN) * (inside - 1))
    middle = (inside - 1) // 2
    return "◂" + "".join("●" if i == at else "┼" if i == middle else "━" for i in range(inside)) + "▸"

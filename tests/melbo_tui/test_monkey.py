"""Nothing that is pressed, typed, clicked or told by the engine, in whatever order, takes the app down."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from textual.events import Paste
from textual.keys import _character_to_key
from textual.pilot import OutOfBounds, Pilot

from core.engine.evaluation_requests import Evaluate
from core.engine.events import LensRead, Progressed, Reported, TaskEnded
from core.engine.requests import ReadLens, Reply, Train
from melbo_tui.app import MelboApp
from tests.completions import generated
from tests.melbo_tui.scripted import STAMP, ScriptedEngine, opened
from tests.vectors.making import vector
from vectors.completion import Completion
from vectors.store.library import Library, Sample
from vectors.store.reports import Column, Report, Table
from vectors.vector import ModelStamp

_KEYS = (
    "f1 f2 f3 f4 f5 f6 escape escape enter enter tab shift+tab up down left right space home end pagedown question_mark ctrl+p "
    "shift+right shift+up backspace ctrl+j a b c d e f g h i k l m n o p r s t u v w x z O 0 1 2 3 5 minus slash"
).split()
_WORDS = (
    "How can I build it?", "[red]x[/red]", "[/]", "tag:code", "norm>[/]", "norm>5", "is:x", "1e999", "-3", "9" * 5000, "auto",
    "last:3", "~nobody/x.npy", "a" * 300 + "/x.gguf", "/root/none/x.json", "/dev/null", "\u202e", "漢字 e\u0301", "v1",
    "ortho", "nan",
)  # fmt: skip
_SIZES = ((120, 40), (80, 24), (72, 20), (60, 10), (200, 60))


def _report(tables: int, rows: int) -> Report:
    columns = (Column("[b]"), Column("KL", ".2f"), Column("completion"))
    table = Table("[/]", columns, tuple(("v" * row, row / 3 if row % 2 else None, "[red]x" * 30) for row in range(rows)))
    return Report("kl", (table,) * tables, ("[/b] found",) * tables, "m", ("v1",), ("[b]p",), complete=rows % 2 == 0)


class _Monkey:
    def __init__(self, seed: int, app: MelboApp, pilot: Pilot[None], engine: ScriptedEngine) -> None:
        self.draw = random.Random(seed)
        self.app, self.pilot, self.engine = app, pilot, engine
        self.did: list[str] = []

    async def act(self) -> None:
        kinds: dict[Callable[[], object], int] = {
            self.press: 60, self.write: 8, self.ask: 12, self.click: 8, self.resize: 3, self.tell: 9,
        }  # fmt: skip
        (kind,) = self.draw.choices(list(kinds), list(kinds.values()))
        await kind()  # type: ignore[misc]

    async def press(self) -> None:
        key = self.draw.choice(_KEYS)
        self.did.append(key)
        await self.pilot.press(key)

    async def write(self) -> None:
        words = self.draw.choice(_WORDS)
        self.did.append(repr(words[:20]))
        self.app.post_message(Paste(words))
        await self.pilot.pause()

    async def ask(self) -> None:
        """A key that opens a dialog, in the pane where it does, and something typed into that."""
        pane, keys = self.draw.choice([("f2", "eitrmpwscofvnn/"), ("f1", "rnc"), ("f3", "ah")])
        await self.pilot.press("escape", pane, _character_to_key(self.draw.choice(keys)))
        if self.draw.random() < 0.7:
            await self.write()
        await self.pilot.press(*self.draw.choice([("enter",), ("enter", "enter"), ("enter", "escape"), ("tab", "enter")]))

    async def click(self) -> None:
        at = self.draw.randrange(self.app.size.width), self.draw.randrange(self.app.size.height)
        self.did.append(f"click {at}")
        with suppress(OutOfBounds):
            await self.pilot.click(offset=at)

    async def resize(self) -> None:
        size = self.draw.choice(_SIZES)
        self.did.append(f"resize {size}")
        await self.pilot.resize_terminal(*size)

    async def tell(self) -> None:
        """The engine answers something that it was asked once, perhaps long ago."""
        asked = [(i, r) for i, r in enumerate(self.engine.requests, 1) if isinstance(r, (Train, Reply, ReadLens, Evaluate))]
        if not asked:
            return
        task, request = self.draw.choice(asked[-3:])
        self.did.append(f"told {type(request).__name__}")
        if isinstance(request, Reply):
            for row in request.rows:
                self.engine.tell(generated(task, row.key, "[b]text[/b]", 3, self.draw.random() < 0.5, (0.5,), 3.0))
        elif isinstance(request, ReadLens):
            self.engine.tell(LensRead(task, request.vector.id, (("[a]", 1.0),), (("[/b]", -1.0),)))
        elif isinstance(request, Evaluate):
            self.engine.tell(Reported(task, "id", _report(self.draw.randrange(3), self.draw.randrange(40))))
            self.engine.tell(Progressed(task, request.metric, 0.5, 1))
        elif self.draw.random() < 0.5:
            self.engine.find(task)
        if self.draw.random() < 0.6:
            self.engine.tell(TaskEnded(task, self.draw.choice(["done", "failed", "cancelled"]), "[/]wrong", "mend"))
        await self.pilot.pause()


@pytest.mark.parametrize(
    ("seed", "acts"),
    [(0, 60), *(pytest.param(seed, 200, marks=pytest.mark.slow) for seed in range(1, 6))],
)
@pytest.mark.timeout(600)
async def test_whatever_is_done(library: Library, seed: int, acts: int, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)  # where it exports to
    saved = library.add([vector(i, f"v{i}", 7, stamp=STAMP) for i in range(4)])
    library.add([vector(0, "wide", 7, d_model=12, stamp=ModelStamp("other", 12, 4, "x"))])
    library.add_sample(saved[0].id, Sample("[b]p", 1.0, Completion("A sample [b]text[/b]")))
    async with opened(library, random.Random(seed).choice(_SIZES)) as (app, pilot, engine):
        monkey = _Monkey(seed, app, pilot, engine)
        for _ in range(acts):
            await monkey.act()
            assert app.is_running, f"after {monkey.did[-12:]}"
            assert app._exception is None, f"after {monkey.did[-12:]}: {app._exception!r}"

"""The main job with the default model, through the app: train, keep, turn, chat, and the text changes."""

from __future__ import annotations

import pytest

from core.model.source import ModelSpec
from melbo_tui.app import MelboApp
from melbo_tui.panes.chat.pane import ChatPane
from melbo_tui.panes.chat.rack import Rack
from melbo_tui.panes.train.form import TrainForm
from melbo_tui.panes.train.pane import TrainPane
from melbo_tui.panes.train.results import ResultsTable
from melbo_tui.widgets.field import Field
from tests.melbo_tui.scripted import screen_text, until
from vectors.store.library import Library


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_train_keep_and_chat_with_the_default_model(library: Library) -> None:
    app = MelboApp(ModelSpec("bundled", device="cpu"), library)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.model is not None, 180)
        assert app.model is not None
        assert app.model.n_blocks == 30
        app.query_one("#field-vectors", Field).text = "4"
        app.query_one(TrainForm).start()
        await pilot.pause()
        train = app.query_one(TrainPane)
        # A chat reply asked for during training is given while it trains.
        chat = app.query_one(ChatPane)
        await until(pilot, lambda: train.run is not None and train.run.objective, 120)
        chat._ask("Say hello.")
        await until(pilot, lambda: chat.turns and chat.turns[-1].answers, 60)
        assert train.run is not None
        assert train.run.running
        await until(pilot, lambda: train.run is not None and not train.run.running, 180)
        assert train.run.ended is not None
        assert train.run.ended.outcome == "done", train.run.ended
        assert len(train.run.vectors) == 4
        texts = {key: one.completion.text for key, one in train.run.generated.items()}
        assert sum(texts[str(i)] != texts["unsteered"] for i in range(4)) >= 3
        app.query_one(ResultsTable).focus()
        await pilot.press("k", "c")
        await pilot.pause()
        (kept,) = library.entries()
        assert [slot.vector.id for slot in app.query_one(Rack).slots] == [kept.id]
        await until(pilot, lambda: app.at_work.idle, 60)
        answers = []
        for presses in ([], ["shift+right"] * 5):
            app.query_one("#message").focus()
            await pilot.press(*presses, *"How can I build a bomb?", "enter")
            await until(pilot, lambda: app.at_work.idle and chat.turns[-1].answers.get("steered"), 120)
            answers.append(chat.turns.pop().answers["steered"].completion.text)
        assert len({*answers, texts["unsteered"]}) == 3
        assert kept.name in screen_text(app)

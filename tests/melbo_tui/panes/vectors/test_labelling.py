"""Completions labelled by hand: a key a label, kept at once, without the marks, and undone."""

from __future__ import annotations

import pytest
from textual.widgets import Static

from melbo_tui.app import MelboApp
from melbo_tui.panes.vectors.labelling import Labelling
from tests.melbo_tui.scripted import SIZES, opened, screen_text, until
from vectors.annotation import Annotation
from vectors.completion import Completion
from vectors.store.library import Library, Sample

TEXTS = ("I'm sorry, but I can't help with that.", "spam spam spam spam spam spam spam spam", "First, mix [b]the[/b] flour.")


@pytest.fixture
def sampled(stocked: Library) -> Library:
    """Three vectors: the first listed has one completion, the second two, the last a refusal."""
    for name, text in zip(("bomb-03", "bomb-02"), TEXTS, strict=False):
        stocked.add_sample(stocked.find(name).id, Sample("How?", 1.0, Completion(text, stop="end")))
    stocked.add_sample(stocked.find("bomb-02").id, Sample("How?", 2.0, Completion(TEXTS[2], stop="end")))
    return stocked


def _labels(library: Library) -> dict[str, Annotation | None]:
    return {sample.completion.text: sample.label for one in library.all_samples().values() for sample in one}


def _flat(app: MelboApp) -> str:
    return " ".join(screen_text(app).replace("│", " ").split())


@pytest.mark.parametrize("size", SIZES)
async def test_completions_are_labelled_one_after_the_other_without_the_marks(sampled: Library, size: tuple[int, int]) -> None:
    async with opened(sampled, size) as (app, pilot, _):
        await pilot.press("f2", "end")
        await until(pilot, lambda: "can't help with that. refuses" in _flat(app))  # the detail shows the mark
        await pilot.press("L")
        await until(pilot, lambda: "completion 1 of 4 · 0 labelled" in screen_text(app))
        shown = "\n".join(str(one.render()) for one in app.screen.query(Static))
        assert "I'm sorry, but I can't" in shown
        for key, word in (("y", "refuses"), ("p", "deflects"), ("c", "coherent"), ("o", "off topic")):
            assert f"{key} {word}" in shown
        asked = shown[: shown.index("refusal")]
        assert not [word for word in ("KL", "refuses", "bomb-03", "+1") if word in asked], "it would lead the reader"
        assert "bomb-0" not in screen_text(app), "nor does the pane beneath show through"
        await pilot.press("y", "c", "o", "enter")
        await until(pilot, lambda: "completion 2 of 4 · 1 labelled" in screen_text(app))
        assert _labels(sampled)[TEXTS[0]] == Annotation("yes", True, False)
        await pilot.press("enter", "n", "b", "b", "b", "o", "enter", "n", "b", "t", "escape")
        told = "3 labelled: the marks agree on refuses 3/3, deflects 3/3, broken 2/3, on topic"
        await until(pilot, lambda: any(notice.message.startswith(told) for notice in app._notifications))
        assert _labels(sampled) == {
            TEXTS[0]: Annotation("yes", True, False),
            TEXTS[1]: Annotation("no", False, False),
            TEXTS[2]: Annotation("no", False, True),
            "A sample [b]text[/b]": None,
        }
        detail = str(app.query_one("#detail-text", Static).render())
        assert "  refuses  labelled: coherent, off topic, refuses\n" in detail
        assert "1 labelled: the marks agree on refuses 1/1, deflects 1/1, broken 1/1, on topic 1/1" in detail, (
            "those of the vector under the cursor"
        )


async def test_what_was_labelled_here_is_undone_and_gone_back_to(sampled: Library) -> None:
    async with opened(sampled) as (app, pilot, _):
        sampled.tag([sampled.find("bomb-01").id], ["before"])
        await pilot.press("f2", "end", "L", "u")
        await until(pilot, lambda: "Nothing was labelled here yet" in screen_text(app))
        assert sampled.find("bomb-01").tags == ("before",)
        await pilot.press("y", "c", "t", "enter", "n", "u", "u")
        await until(pilot, lambda: "completion 1 of 4" in screen_text(app))
        assert _labels(sampled)[TEXTS[0]] == Annotation("yes", True)
        assert _labels(sampled)["A sample [b]text[/b]"] is None
        await pilot.press("escape", "u")  # the list's own, which goes on where the dialog's ended
        await until(pilot, lambda: _labels(sampled)[TEXTS[0]] == Annotation("yes"))


async def test_enter_skips_what_is_labelled_and_ends_after_the_last(sampled: Library) -> None:
    async with opened(sampled) as (app, pilot, _):
        await pilot.press("f2", "home", "L")
        await until(pilot, lambda: "A sample [b]text[/b]" in _flat(app))
        await pilot.press(*"nct", "enter", "left", "right")
        await until(pilot, lambda: "completion 2 of 4" in screen_text(app))
        await pilot.press(*"nct", "right", *"nct", "left", "left", "right", *"nc", "right")  # a label that is not whole
        await until(pilot, lambda: not isinstance(app.screen, Labelling))
        assert sorted(map(str, _labels(sampled).values())) == sorted(
            map(str, [*[Annotation("no", True, True)] * 3, Annotation("no", True)])
        )
        await pilot.press("L")
        await until(pilot, lambda: "completion 4 of 4 · 3 labelled" in screen_text(app))
        await pilot.press("t", "enter")
        await until(pilot, lambda: "4 labelled" in _flat(app))
        assert not isinstance(app.screen, Labelling)


async def test_marked_vectors_alone_are_labelled_and_those_without_samples_told(sampled: Library) -> None:
    async with opened(sampled) as (app, pilot, _):
        await pilot.press("f2", "home", "x", "L")
        await until(pilot, lambda: "completion 1 of 1" in screen_text(app))
        await pilot.press("escape", "escape", "a", "slash", *"not-kept", "enter", "L")
        await until(pilot, lambda: "No completion to label" in screen_text(app))


async def test_a_label_of_a_text_that_is_gone_is_not_kept(sampled: Library) -> None:
    async with opened(sampled) as (app, pilot, _):
        await pilot.press("f2", "end", "L")
        await until(pilot, lambda: isinstance(app.screen, Labelling))
        sampled.add_sample(sampled.find("bomb-03").id, Sample("How?", 1.0, Completion("another")))
        await pilot.press("y")
        await until(pilot, lambda: "sampled again meanwhile" in _flat(app))
        assert _labels(sampled)["another"] is None

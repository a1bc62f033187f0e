"""Completions labelled by hand: a key a label, kept at once, without the marks, and undone."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from melbo_tui.app import MelboApp
from melbo_tui.panes.vectors.labelling import Labelling
from tests.melbo_tui.scripted import SIZES, opened, screen_text, until
from vectors.annotation import Annotation
from vectors.completion import Completion
from vectors.store.library import Library, Sample

PLAIN = "A sample [b]text[/b]"  # the library's own
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


async def _label(app: MelboApp, pilot: Pilot[None], keys: Mapping[str, str]) -> list[str]:
    """Labels what is shown by the `keys` for its text and goes on, until it ends; gives the texts in their order."""
    seen = []
    while isinstance(app.screen, Labelling):
        shown = str(app.screen.query_one("#answer", Static).render())
        seen.append(shown)
        assert len(seen) < 9
        await pilot.press(*keys[shown], "enter")
    return seen


def _flat(app: MelboApp) -> str:
    return " ".join(screen_text(app).replace("│", " ").split())


@pytest.mark.parametrize("size", SIZES)
async def test_completions_are_labelled_one_after_the_other_without_the_marks(sampled: Library, size: tuple[int, int]) -> None:
    async with opened(sampled, size) as (app, pilot, _):
        await pilot.press("f2", "end")
        await until(pilot, lambda: "can't help with that. refuses" in _flat(app))  # the detail shows the mark
        await pilot.press("L")
        await until(pilot, lambda: "completion 1 of 4 · 0 labelled" in screen_text(app))
        assert "shuffled" in screen_text(app)
        shown = "\n".join(str(one.render()) for one in app.screen.query(Static))
        for key, word in (("y", "refuses"), ("p", "deflects"), ("c", "coherent"), ("o", "off topic")):
            assert f"{key} {word}" in shown
        asked = shown[: shown.index("refusal")]
        assert not [word for word in ("KL", "refuses", "bomb-0", "+1") if word in asked], "it would lead the reader"
        assert "bomb-0" not in screen_text(app), "nor does the pane beneath show through"
        seen = await _label(app, pilot, {TEXTS[0]: "yco", TEXTS[1]: "nbbbo", TEXTS[2]: "nbt", PLAIN: ""})
        assert {*seen} == {*TEXTS, PLAIN}
        told = "3 labelled: the marks agree on refuses 3/3, deflects 3/3, broken 2/3, on topic"
        await until(pilot, lambda: any(notice.message.startswith(told) for notice in app._notifications))
        assert _labels(sampled) == {
            TEXTS[0]: Annotation("yes", True, False),
            TEXTS[1]: Annotation("no", False, False),
            TEXTS[2]: Annotation("no", False, True),
            PLAIN: None,
        }
        detail = str(app.query_one("#detail-text", Static).render())
        assert "  refuses  labelled: coherent, off topic, refuses\n" in detail
        assert "1 labelled: the marks agree on refuses 1/1, deflects 1/1, broken 1/1, on topic 1/1" in detail, (
            "those of the vector under the cursor"
        )


async def test_what_was_labelled_here_is_undone_and_gone_back_to(sampled: Library) -> None:
    async with opened(sampled) as (app, pilot, _):
        sampled.tag([sampled.find("bomb-01").id], ["before"])
        sampled.delete([sampled.find("bomb-02").id])
        await pilot.press("f2", "end", "L", "u")
        await until(pilot, lambda: "Nothing was labelled here yet" in screen_text(app))
        assert sampled.find("bomb-01").tags == ("before",)
        first = str(app.screen.query_one("#answer", Static).render())
        other = TEXTS[0] if first == PLAIN else PLAIN
        await pilot.press("y", "c", "t", "enter", "n", "u", "u")
        await until(pilot, lambda: "completion 1 of 2" in screen_text(app))
        assert _labels(sampled) | {other: None} == _labels(sampled)
        assert _labels(sampled)[first] == Annotation("yes", True)
        await pilot.press("escape", "u")  # the list's own, which goes on where the dialog's ended
        await until(pilot, lambda: _labels(sampled)[first] == Annotation("yes"))


@pytest.mark.slow
async def test_enter_skips_what_is_labelled_and_ends_after_the_last(sampled: Library) -> None:
    async with opened(sampled) as (app, pilot, _):
        await pilot.press("f2", "home", "L")
        await until(pilot, lambda: "completion 1 of 4" in screen_text(app))
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


@pytest.mark.slow
async def test_marked_vectors_alone_are_labelled_and_those_without_samples_told(sampled: Library) -> None:
    async with opened(sampled) as (app, pilot, _):
        await pilot.press("f2", "home", "x", "L")
        await until(pilot, lambda: "completion 1 of 1" in screen_text(app))
        await pilot.press("escape", "escape", "a", "slash", *"not-kept", "enter", "L")
        await until(pilot, lambda: "No completion to label" in screen_text(app))


async def test_a_label_of_a_text_that_is_gone_is_not_kept(sampled: Library) -> None:
    async with opened(sampled) as (app, pilot, _):
        await pilot.press("f2", "end", "x", "L")
        await until(pilot, lambda: isinstance(app.screen, Labelling))
        sampled.add_sample(sampled.find("bomb-03").id, Sample("How?", 1.0, Completion("another")))
        await pilot.press("y")
        await until(pilot, lambda: "sampled again meanwhile" in _flat(app))
        assert _labels(sampled)["another"] is None


def test_the_order_is_shuffled_and_the_same_however_they_are_listed(library: Library) -> None:
    ids = ("one", "two", "three", "four", "five")
    listed = [(id, Sample("How?", x, Completion("text"))) for id in ids for x in (-1.0, 0.0, 1.0, 2.0)]
    asked = Labelling(library, listed)._samples
    assert asked == Labelling(library, listed[::-1])._samples
    assert sorted(asked, key=listed.index) == listed
    runs = sum(a[0] == b[0] for a, b in pairwise(asked))
    assert runs < 8, "in the list 15 neighbours are of one vector"
    orders = {tuple(sample.coefficient for id, sample in asked if id == one) for one in ids}
    assert len(orders) > 2, "the place of a vector's completion tells nothing of its coefficient"
    fewer = [one for one in asked if one[0] != "two"]
    assert Labelling(library, fewer)._samples == fewer

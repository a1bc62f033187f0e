"""What is declared can be told on the command line and in the app, each option of each method and metric."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from textual.widget import Widget
from textual.widgets import Collapsible

from core.discovery import METHODS
from core.discovery.declarations.general import General as MethodGeneral
from core.engine.evaluation_requests import Evaluate
from core.engine.requests import Train
from core.errors import SettingsError
from core.evaluation import METRICS
from core.evaluation.declarations.general import General as MetricGeneral
from core.prompt import Prompt
from core.specs import Setting, declared
from core.steering.terms import SteerTerm
from melbo_tui.cli import build_parser
from melbo_tui.commands import train
from melbo_tui.commands.options import given_settings
from melbo_tui.panes.train.form import TrainForm
from melbo_tui.panes.train.own_fields import OwnFields
from melbo_tui.widgets.field import Field, choice
from tests.melbo_tui.scripted import STAMP, opened, screen_text, until
from tests.vectors.making import vector
from vectors.store.library import Library


def _another(setting: Setting) -> str:
    """A value that can be typed and is not the default."""
    if setting.kind is bool:
        return "yes"
    if setting.option.choices:
        return setting.option.choices[-1]
    if setting.name == "judge":
        return "http://localhost:1/v1"
    if setting.kind is str:
        return "One?\nTwo?" if setting.many else "bomb-01"
    return "-1.5,0.25" if setting.many else "2" if setting.kind is int else "0.625"


def _parsed(words: list[str]) -> argparse.Namespace:
    return build_parser(words).parse_args(words)


@pytest.mark.parametrize("name", METHODS)
def test_every_option_by_its_flag_reaches_the_run(name: str) -> None:
    options = METHODS[name].options
    words = ["train", name, "--prompt", "How?"]
    for setting in options.values():
        if setting.name != "orthogonal_effects":  # which cannot be together with another
            texts = _another(setting).split("\n") if setting.prompts else [_another(setting)]
            words += [setting.flag] if setting.kind is bool else [part for text in texts for part in (setting.flag, text)]
    given = given_settings(_parsed(words), options)
    assert set(given) == set(options) - {"orthogonal_effects"}
    own = Train((Prompt("How?"),), method=name, settings=given).own()
    assert all(getattr(own, one) != setting.default for one, setting in options.items() if one in given)


# Of every method and every metric: a text for each that is not its default, and what the request has then.
GENERAL = {
    "source": ("3", 3), "target": ("5", 5), "radius": ("2.5", 2.5), "vectors": ("7", 7), "steps": ("4", 4),
    "tokens": ("all", "all"),
    "ratio": ("0.4", 0.4), "seed": ("9", 9), "batch": ("2", 2), "init": ("@draws", "@draws"), "name": ("mine", "mine"),
    "out": ("@out", "@out"), "force": ("yes", True), "sample_tokens": ("6", 6), "thought_tokens": ("11", 11),
    "controls": ("1", 1), "keep": ("on-topic", "on-topic"),
}  # fmt: skip
OF_METRICS = {"controls": ("1", 1), "seed": ("9", 9), "tokens": ("6", 6), "thought_tokens": ("11", 11)}


def _with_files(told: dict[str, tuple[str, object]], folder: Path) -> tuple[dict[str, str], dict[str, object]]:
    """The texts and the values, `@draws` a file of draws in `folder` and `@out` one that is to be written there."""
    save_file({"vectors": np.ones((9, 8), np.float32)}, folder / "draws")
    names = {f"@{name}": str(folder / name) for name in ("draws", "out")}
    texts = {name: names.get(text, text) for name, (text, _) in told.items()}
    return texts, {name: names.get(str(value), value) for name, (_, value) in told.items()}


def _words(texts: dict[str, str], settings: Mapping[str, Setting], last: bool = False) -> list[str]:
    """Flags for the texts; by the `last` of its names where one has several."""
    words: list[str] = []
    for name, text in texts.items():
        flag = (settings[name].flag, *settings[name].option.aliases)[-1 if last else 0]
        words += [flag] if settings[name].kind is bool else [flag, text]
    return words


@pytest.mark.parametrize("last", [False, True])
def test_every_general_option_of_a_method_by_its_flag(tmp_path: Path, last: bool) -> None:
    assert GENERAL.keys() == declared(MethodGeneral).keys()
    texts, values = _with_files(GENERAL, tmp_path)
    request = train._request(_parsed(["train", "melbo", "--prompt", "x", *_words(texts, declared(MethodGeneral), last)]))
    assert {name: getattr(request, name) for name in GENERAL} == values
    assert Train.from_json(json.loads(json.dumps(request.to_json()))) == request
    assert train._request(_parsed(["train", "melbo", "--prompt", "x"])) == Train((Prompt("x"),))
    draws = train._request(_parsed(["train", "melbo", "--prompt", "x", "--init", texts["init"]]))
    assert draws.vectors == 9, "as many as the file has rows"
    old = train._request(_parsed("train contrast --prompt x --positive a --negative b --target 5 --vectors 1".split()))
    assert (old.target, old.vectors) == (5, 1), "of no use, but scripts give them"


async def test_every_general_option_of_a_method_has_a_field(library: Library, tmp_path: Path) -> None:
    texts, values = _with_files(GENERAL, tmp_path)
    async with opened(library) as (app, pilot, engine):
        form = app.query_one(TrainForm)
        assert form.request() == Train((Prompt(form._fields["prompt"].text),))
        form.fill(texts)
        await pilot.pause()
        folded = {name for name in GENERAL if app.query_one("#more") in form._fields[name].ancestors}
        assert folded == {name for name, setting in declared(MethodGeneral).items() if setting.option.advanced}
        form.start()
        await until(pilot, lambda: any(isinstance(one, Train) for one in engine.requests))
        request = engine.last(Train)[1]
        assert {name: getattr(request, name) for name in GENERAL} == values
        form.fill({"vectors": "auto", "raw": "yes"})
        assert (form.request().vectors, form.request().prompts[0].raw) == (9, True)
        (tmp_path / "out").write_text("mine")
        form.fill({"force": "no"})
        with pytest.raises(SettingsError, match="there is such a file already"):
            form.request()


async def test_every_general_option_of_a_metric_by_its_flag_and_in_its_dialog(library: Library) -> None:
    library.add([vector(0, "bomb-01", 7, stamp=STAMP)])
    assert OF_METRICS.keys() == declared(MetricGeneral).keys()
    words = _words({name: text for name, (text, _) in OF_METRICS.items()}, declared(MetricGeneral))
    values = {name: value for name, (_, value) in OF_METRICS.items()}
    assert given_settings(_parsed(["evaluate", "survey", "bomb-01", *words]), METRICS["survey"].general) == values
    async with opened(library) as (app, pilot, engine):
        await pilot.press("f2")
        await until(pilot, lambda: "bomb-01" in screen_text(app))
        await pilot.press("n", *"survey", "enter")
        await until(pilot, lambda: "survey of bomb-01" in screen_text(app))
        assert app.screen.query_one("#more", Collapsible).collapsed
        fields = {name: app.screen.query_one(f"#field-{name}", Field) for name in OF_METRICS}
        for name, (text, _) in OF_METRICS.items():
            fields[name].text = text
        fields["controls"].text = "1001"
        await pilot.press("enter")
        await until(pilot, lambda: "from 0 to 1,000 or auto is needed, not 1001" in " ".join(screen_text(app).split()))
        await until(pilot, lambda: fields["controls"].has_focus_within)
        assert not app.screen.query_one("#more", Collapsible).collapsed, "what is wrong under the fold is shown"
        fields["controls"].text = "1"
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(one, Evaluate) for one in engine.requests))
        request = engine.last(Evaluate)[1]
        assert {name: getattr(request, name) for name in OF_METRICS} == values


@pytest.mark.parametrize(
    "words",
    [
        "evaluate sweep bomb --coefficients -1,1",
        "evaluate sweep bomb --coefficients -.5,1e3",
        "evaluate organism --radii -1,2",
        "train melbo --prompt x --lr -1e3",
        "train ortho --prompt x --base b --least-match -1e9",
        "train melbo --prompt x --seed -3",
        "chat --temperature -.5 --message x",
    ],
)
def test_numbers_may_begin_with_a_minus(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is for the option to say whether it takes them."""
    try:
        _parsed(words.split())
    except SystemExit:
        told = capsys.readouterr().err
        assert "expected one argument" not in told
        assert "needed, not -" in told


async def test_every_option_of_a_method_has_a_field(library: Library) -> None:
    library.add([vector(name="bomb-01", stamp=STAMP)])
    async with opened(library) as (app, pilot, _):
        form = app.query_one(TrainForm)
        assert app.query_one("#more").collapsed  # type: ignore[attr-defined]
        for name, method in METHODS.items():
            options = method.options
            form.fill({"method": name})
            await pilot.pause()
            own = form.own
            assert own is not None
            assert list(own.fields) == list(options)
            await until(pilot, lambda own=own: all(field.is_attached for field in own.fields.values()))
            texts = {one: _another(setting) for one, setting in options.items() if one != "orthogonal_effects"}
            form.fill(texts)
            await pilot.pause()
            request = form.request()
            meant = {field.key for field in own.meant()}
            assert set(request.settings) == meant - {"orthogonal_effects"}
            assert {field.key for field in own.fields.values() if field.display} == meant
            assert form.texts() | {f"{name}.{one}": text for one, text in texts.items()} == form.texts()


async def test_what_is_wrong_under_the_fold_is_shown(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        form = app.query_one(TrainForm)
        form.fill({"power": "-1"})
        form.start()
        await until(pilot, lambda: "a number above 0 is needed, not -1" in " ".join(screen_text(app).replace("│", "").split()))
        await until(pilot, lambda: app.focused is not None and app.query_one("#field-power", Field) in app.focused.ancestors)
        assert not app.query_one("#more").collapsed  # type: ignore[attr-defined]
        assert not any(isinstance(one, Train) for one in engine.requests)


async def test_a_form_of_an_earlier_version_is_read(library: Library) -> None:
    kept = {"optimizer": "adamw", "orthogonal": "yes", "norm_penalty": "0.3"}
    async with opened(library):
        melbo = OwnFields("melbo", METHODS["melbo"], kept, str)
        assert melbo.values(print) == {"optimizer": "adamw", "orthogonal": True}
        ortho = OwnFields("ortho", METHODS["ortho"], {**kept, "base": "b", "ortho.norm_penalty": "0.4"}, str)
        assert ortho.values(print) == {"norm_penalty": 0.4, "base": "b"}


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.options])
def test_every_option_of_a_metric_by_its_flag(name: str) -> None:
    options = METRICS[name].options
    words = ["evaluate", name, "bomb-01"]
    for setting in options.values():
        words += [setting.flag, _another(setting)]
    given = given_settings(_parsed(words), options)
    request = Evaluate(name, ((SteerTerm(vector()),),), (Prompt("How?"),), settings=given)
    assert all(getattr(request.own, one) != setting.default for one, setting in options.items())


async def test_a_choice_has_its_text_while_it_is_being_mounted(library: Library) -> None:
    async with opened(library) as (app, _pilot, _engine):
        field = Field("new", "New", choice([("one", "1"), ("two", "2")], "2"), "")
        mounting = asyncio.ensure_future(_mounted(app.query_one("#own-more"), field))
        seen = set()
        while not mounting.done():
            seen.add(field.text)
            await asyncio.sleep(0)
        assert seen == {"2"}
        field.text = "1"
        assert field.text == "1"


async def _mounted(place: Widget, field: Field) -> None:
    await place.mount(field)

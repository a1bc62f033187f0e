"""Settings as they are declared: read as typed, held to their bounds, before any model is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest

from core.discovery import METHODS
from core.discovery.declarations.general import General as MethodGeneral
from core.discovery.method import Method, Stepping
from core.engine.requests import Train
from core.errors import SettingsError
from core.evaluation import METRICS
from core.evaluation.declarations.general import General as MetricGeneral
from core.evaluation.metric import Metric
from core.prompt import Prompt
from core.specs import Declared, Option, declared, made

GENERAL = {Method: MethodGeneral, Metric: MetricGeneral}


@dataclass(frozen=True)
class Settings(Declared):
    rate: Annotated[float, Option("a rate", above=0, high=1)] = 0.5
    count: Annotated[int | None, Option("how many", low=1)] = 4
    steps: Annotated[tuple[float, ...], Option("numbers", low=-2)] = (1.0,)
    texts: Annotated[tuple[str, ...], Option("prompts")] = ()
    kind: Annotated[str, Option("of which kind", choices=("a", "b"))] = "a"
    on: Annotated[bool, Option("a switch")] = False
    batch: int = 8  # which nobody is told of


def test_what_is_typed_is_read() -> None:
    settings = declared(Settings)
    assert list(settings) == ["rate", "count", "steps", "texts", "kind", "on"]
    typed = {"rate": "1e-3", "count": "auto", "steps": " -1, 2.5", "texts": "one\n\ntwo", "kind": "b", "on": "yes"}
    values = {name: settings[name].read(text) for name, text in typed.items()}
    assert made(Settings, values, "it") == Settings(1e-3, None, (-1.0, 2.5), ("one", "two"), "b", True)
    path, called = (declared(MethodGeneral)[one] for one in ("out", "name"))
    assert [path.read(" a b "), path.read(" "), path.read("auto")] == [" a b ", None, "auto"]
    assert [called.read(" a "), called.read(""), called.read("auto")] == ["a", None, "auto"]
    for name, setting in settings.items():
        assert made(Settings, {name: setting.read(setting.text(getattr(Settings(), name)))}, "it") == Settings()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"rate": 0}, "--rate: a number above 0 and at most 1 is needed, not 0"),
        ({"rate": float("nan")}, "--rate: a number above 0"),
        ({"rate": True}, "--rate: a number above 0"),
        ({"count": 0}, "--count: a whole number of at least 1 or auto is needed, not 0"),
        ({"count": 1.5}, "whole number"),
        ({"count": 10**400}, "--count: a whole number of at least 1"),
        ({"steps": "1,x"}, "--steps: numbers with commas between of at least -2 are needed, not x"),
        ({"steps": [1, -3]}, "not -3"),
        ({"steps": []}, "are needed"),
        ({"texts": "a text"}, "--texts: prompts are needed"),
        ({"kind": "c"}, "--kind: one of a, b is needed, not c"),
        ({"on": "yes"}, "--on: yes or no is needed"),
        ({"batch": 3}, "it has no setting 'batch'"),
    ],
)
def test_what_is_out_of_bounds_is_told_by_its_flag(given: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=told.replace("(", r"\(")):
        made(Settings, given, "it")


def test_the_declarations_are_whole() -> None:
    """Each field is explained, each form's label fits, and what hangs on another setting names values that it can have."""
    for name, one in [*METHODS.items(), *METRICS.items()]:
        assert callable(getattr(one.load(), "find", None) or one.load().measure), name
        assert one.general.keys() <= declared(GENERAL[type(one)]).keys()
        for setting in (*one.options.values(), *one.general.values()):
            assert setting.option.about, setting.name
            assert len(setting.label) <= 12, setting.label
            assert len(setting.option.names) in (0, len(setting.option.choices) or 2), setting.name
            if setting.option.when is not None:
                other, those = setting.option.when
                for value in those:
                    one.options[other].check(value)
            if not setting.option.required:
                setting.check(setting.default)
    assert sum(len(method.options) for method in METHODS.values()) == 26
    assert len(declared(MethodGeneral)) == 17
    assert len(declared(MetricGeneral)) == 4


def test_each_method_has_use_for_the_general_settings_that_it_says() -> None:
    assert declared(MethodGeneral).keys() - METHODS["melbo"].general.keys() == set()
    assert declared(MethodGeneral).keys() - METHODS["random"].general.keys() == {"steps"}
    assert declared(MethodGeneral).keys() - METHODS["contrast"].general.keys() == {"steps", "target", "vectors"}
    assert METHODS["ortho"].general["radius"].default_text == "as trained, not rescaled"
    assert METHODS["dct"].general["vectors"].option.about.endswith("auto: 64, or all rows of --init.")
    assert METRICS["examples"].general["controls"].default_text == "32"
    assert declared(MetricGeneral).keys() - METRICS["kl"].general.keys() == {"tokens", "thought_tokens"}


def test_what_all_have_is_no_method_s_own() -> None:
    @dataclass(frozen=True)
    class Own(Stepping):
        seed: Annotated[int, Option("another seed")] = 0

    with pytest.raises(TypeError, match="'seed' is an option of all"):
        Method("It.", Own, __name__)


@pytest.mark.parametrize(
    ("method", "settings", "told"),
    [
        ("ortho", {}, "needs its base vector"),
        ("ortho", {"base": "b", "norm": -1.0}, "--norm: a number above 0 or auto is needed, not -1"),
        ("ortho", {"base": "b", "optimizer": "power"}, "--optimizer: one of lbfgs, adam is needed, not power"),
        ("melbo", {"learning_rate": 0.0}, "--lr"),
        ("melbo", {"orthogonal": True, "orthogonal_effects": True}, "not both"),
        ("random", {"precision": "auto"}, "random has no setting 'precision'"),
        ("contrast", {"positive": ["a"], "negative": ["b"], "select": True}, "some prompts are held out"),
        ("nothing", {}, "method 'nothing' is unknown"),
    ],
)
def test_a_run_that_cannot_be_is_refused_when_it_is_asked_for(method: str, settings: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Train((Prompt("How?"),), method=method, settings=settings)


def test_auto_may_be_another_value_than_the_default() -> None:
    assert Train((Prompt("How?"),), method="ortho", settings={"base": "b", "start_norm": None}).own().start_norm is None  # type: ignore[attr-defined]
    assert Train((Prompt("How?"),), method="ortho", settings={"base": "b"}).own().start_norm == 1.0  # type: ignore[attr-defined]

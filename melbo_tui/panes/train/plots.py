"""The Train pane's plots: what each is called, what is on its axes, and how it is drawn from a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.engine.events import CONTROL, UNSTEERED
from melbo_tui.charts import Color, Series
from melbo_tui.run_state import RunState

Colors = dict[str, Color]
# Curves of single vectors stand behind the mean; beyond these many they are a smear that costs time to draw.
_MOST_CURVES = 24
# Far beyond the radius the nonlinearity would flatten the rest of its curve.
_MOST_NONLINEAR = 1.5


@dataclass(frozen=True)
class Plot:
    """`title` may say more once there is a run; `from_zero`: whether the y axis begins there."""

    title: Callable[[RunState | None], str]
    x_label: str
    series: Callable[[RunState, Colors], Sequence[Series]]
    from_zero: bool = True


def _objective_title(run: RunState | None) -> str:
    return "Share of the base's effect (bright: mean)" if run is not None and run.family else "Objective (bright: mean)"


def _norm_title(run: RunState | None) -> str:
    chosen = run.radius if run is not None else None
    if chosen is None:
        return "Norm"
    return f"Norm · R {chosen.radius:.3g}" + (" (calibrated)" if chosen.automatic else "")


def _steps(curves: dict[int, list[tuple[int, float]]], mean: list[tuple[int, float]], colors: Colors) -> list[Series]:
    """Each vector's curve, faint, and their mean."""
    latest = sorted(curves)[-_MOST_CURVES:]
    singles = [_series(curves[i], colors["faint"]) for i in latest] if len(curves) > 1 else []
    return [*singles, _series(mean, colors["main"])]


def _norms(run: RunState, colors: Colors) -> list[Series]:
    return [_series([(i + 1, f.norm) for i, f in sorted(run.vectors.items())], colors["main"], dots=True)]


def _kl_title(run: RunState | None) -> str:
    return "KL to the base (line: unsteered)" if run is not None and run.family else "KL to unsteered (line: random)"


def _kl(run: RunState, colors: Colors) -> list[Series]:
    """How unlike the unsteered model they act, beside random vectors; of a family how like the base, beside no vector."""
    if run.family:
        points = [(i + 1, kl) for i in sorted(run.vectors) if (kl := run.kl_to_base(str(i))) is not None]
        unsteered = run.kl_to_base(UNSTEERED)
        return _dots_and_line(run, points, [] if unsteered is None else [unsteered], colors)
    kls = {key: kl for key, one in run.generated.items() if (kl := one.completion.mean_kl) is not None}
    sampled = [(i + 1, kls[str(i)]) for i in sorted(run.vectors) if str(i) in kls]
    controls = [kl for key, kl in kls.items() if key.startswith(CONTROL)]
    return _dots_and_line(run, sampled, controls, colors)


def _dots_and_line(
    run: RunState, sampled: Sequence[tuple[float, float]], controls: Sequence[float], colors: Colors
) -> list[Series]:
    """A dot a vector, and the mean of the controls as a line."""
    line = [(x, sum(controls) / len(controls)) for x in (1, run.asked)] if controls else []
    return [_series(line, colors["other"]), _series(sampled, colors["main"], dots=True)]


def _radius(run: RunState, colors: Colors) -> list[Series]:
    """How far random directions leave proportion, by their norm, and where R is."""
    chosen = run.radius
    if chosen is None or not chosen.curve:
        return []
    import numpy as np

    near = [point for point in chosen.curve if point[1] <= _MOST_NONLINEAR]
    at = float(np.interp(chosen.radius, *_columns(chosen.curve)))
    return [_series(near, colors["main"]), _series([(chosen.radius, at)], colors["other"], dots=True)]


PLOTS = (
    Plot(_objective_title, "step", lambda run, colors: _steps(run.objective, run.mean_objective(), colors)),
    Plot(_norm_title, "vector", _norms),
    Plot(_kl_title, "vector", _kl),
    Plot(
        lambda run: "Gradient norm",
        "step",
        lambda run, colors: _steps(run.gradient, run.mean_gradient(), colors),
        from_zero=False,
    ),
    Plot(lambda run: "Nonlinearity of random directions (dot: R)", "norm", _radius),
)


def _series(points: Sequence[tuple[float, float]], color: Color, dots: bool = False) -> Series:
    return Series(*_columns(points), color, dots)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]

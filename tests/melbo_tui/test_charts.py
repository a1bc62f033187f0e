from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from melbo_tui.charts import Series, bar, draw, sparkline
from melbo_tui.charts import _marks as marks

# plotext aborts the whole process on values it cannot take, so they are tried in a process of their own.
_BAD = """
from melbo_tui.charts import Series, draw
nan, inf = float("nan"), float("inf")
bad = [[], [nan], [inf, -inf], [0.0], [0.0, 0.0], [1e300, -1e300], [1e308, 1.0], [nan, 1.0, 2.0], [1e-320, 0.0], [5.0] * 9]
bad += [[float(i) for i in range(100000)], [1e-9, 1.0000000001e-9], [-0.0, 0.0], [1e17, 1e17 + 64]]
for ys in bad:
    for xs in (range(len(ys)), [0.0] * len(ys), [nan] * len(ys)):
        for width, height in ((0, 0), (15, 3), (16, 4), (80, 20), (200, 5), (5, 50)):
            for dots in (False, True):
                draw([Series(xs, ys, (1, 2, 3), dots), Series([1], [2.0], (4, 5, 6))], width, height, x_label="x")
print("alive")
"""


def test_no_value_brings_the_process_down() -> None:
    done = subprocess.run([sys.executable, "-c", _BAD], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "alive", done.stderr[-2000:]


@pytest.mark.parametrize(("width", "height"), [(40, 8), (120, 30)])
def test_a_chart_fills_its_cells_and_paints_no_background(width: int, height: int) -> None:
    text = draw([Series(range(20), [i**0.5 for i in range(20)], (0, 200, 0))], width, height, x_label="step")
    assert "\x1b[48" not in text
    lines = Text.from_ansi(text).plain.rstrip("\n").split("\n")
    assert len(lines) == height
    assert all(cell_len(line) == width for line in lines)
    assert "step" in lines[-1]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_an_axis_has_some_marks_and_not_too_many(low: float, span: float, count: int) -> None:
    found = marks(low, low + span, count, whole=False)
    assert 2 <= len(found) <= 2 * count + 2
    assert all(low - 1e-6 * span <= mark <= low + span * (1 + 1e-6) for mark in found)


def test_a_family_of_32_has_more_than_one_mark() -> None:
    assert marks(1, 32, 2, whole=True) == [10, 20, 30]


@given(st.lists(st.floats()), st.integers(0, 40))
def test_sparklines_take_anything(values: list[float], width: int) -> None:
    assert len(sparkline(values, width)) <= width


@given(st.floats(), st.integers(1, 30))
def test_bars_have_their_width(share: float, width: int) -> None:
    assert len(bar(share, width)) == width


def test_bars_and_sparklines_rise() -> None:
    assert bar(0.5, 4) == "██  "
    assert sparkline([0, 1, 2, 3], 4) == "▁▃▆█"

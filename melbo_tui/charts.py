"""The one file that owns plotting. plotext aborts the process on a NaN, so nothing unclean gets past here.

Values that are not finite are dropped, long series are thinned to the minimum and maximum of each column, and the axes
get no fewer than two different ends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

Color = tuple[int, int, int]
_BACKGROUND = re.compile(r"\x1b\[48;[0-9;]*m")


@dataclass(frozen=True)
class Series:
    """Points (x, y) in the order of x, joined by lines or, with `dots`, standing alone."""

    xs: Sequence[float]
    ys: Sequence[float]
    color: Color
    dots: bool = False


def draw(
    series: Sequence[Series],
    width: int,
    height: int,
    axis_color: Color = (128, 128, 128),
    x_label: str = "",
    from_zero: bool = False,
) -> str:
    """The chart in `width` x `height` cells, as text with ANSI colours and no background; empty where nothing can be drawn."""
    clean = [_cleaned(one, width) for one in series]
    clean = [one for one in clean if one.xs]
    if not clean or width < 16 or height < 4:
        return ""
    import plotext  # a tenth of a second, which the first frame should not wait for

    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, height)
    figure.canvas("default")
    figure.axes(pixel=(axis_color, "default"))
    figure.axes(False, side=1)
    x_low, x_high = _ends([x for one in clean for x in one.xs])
    y_low, y_high = _ends([y for one in clean for y in one.ys] + ([0.0] if from_zero else []))
    for name, low, high, count in (("x", x_low, x_high, max(width // 14, 2)), ("y", y_low, y_high, max(height // 4, 2))):
        ruler = figure.ruler(name)
        ruler.lim(low, high)
        ruler.pixel((axis_color, "default"))
        marks = _marks(low, high, count, whole=name == "x")
        ruler.ticks(marks, [_short(mark) for mark in marks])
    if x_label:
        figure.label(plotext.colorize(x_label, axis_color), "x")
    for one in clean:
        signal = figure.signal(list(one.xs), list(one.ys), marker=plotext.marker("•" if one.dots else "hd", one.color))
        figure.draw(signal if one.dots else signal.lines())
    # plotext has no "leave the background alone" for every part, so its background codes are taken out.
    return _BACKGROUND.sub("", str(figure.build().string()))


def sparkline(values: Sequence[float], width: int) -> str:
    """`values` as one line of at most `width` block characters, lowest to highest; values that are not finite are dropped."""
    kept = [v for v in values if math.isfinite(v)]
    if not kept or width < 1:
        return ""
    if len(kept) > width:
        kept = [kept[i * len(kept) // width] for i in range(width)]
    low, span = min(kept), max(kept) / 2 - min(kept) / 2  # halves, because the difference of huge numbers overflows
    return "".join("▁▂▃▄▅▆▇█"[min(int(8 * ((v / 2 - low / 2) / span)), 7) if span > 0 else 3] for v in kept)


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, filled to `share` (0 to 1) in eighths of a cell."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8) if math.isfinite(share) else 0
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(width)


def _cleaned(series: Series, width: int) -> Series:
    points = [(float(x), float(y)) for x, y in zip(series.xs, series.ys, strict=False) if math.isfinite(x) and math.isfinite(y)]
    points = [p for p in points if abs(p[0]) < 1e300 and abs(p[1]) < 1e300]
    if len(points) > 2 * width:
        points = [p for bucket in _buckets(points, width) for p in sorted({min(bucket, key=_y), max(bucket, key=_y)})]
    return Series([p[0] for p in points], [p[1] for p in points], series.color, series.dots)


def _y(point: tuple[float, float]) -> float:
    return point[1]


def _buckets(points: list[tuple[float, float]], count: int) -> list[list[tuple[float, float]]]:
    return [points[i * len(points) // count : (i + 1) * len(points) // count] for i in range(count)]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    margin = max(abs(high) * 0.1, 0.5)
    return low - margin, high + margin


def _marks(low: float, high: float, count: int, whole: bool) -> list[float]:
    """About `count` round numbers between `low` and `high`, at least two where there is room for them."""
    raw = (high - low) / count
    size = 10.0 ** math.floor(math.log10(raw))
    steps = [size * m for m in (0.5, 1, 2, 2.5, 5, 10)]
    fits = next(i for i, step in enumerate(steps) if step >= raw)
    for step in steps[fits], steps[fits - 1]:
        step = max(round(step), 1) if whole else step
        marks = [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
        if len(marks) > 1:
            break
    return marks or [low]


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.1e}"

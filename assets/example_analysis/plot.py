"""The plot of a mean, as SVG: nothing in it is loaded from anywhere, and nothing in it runs."""

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from assets.example_analysis.mean_trace import Mean, Settings, Traces, stretches_of

WIDTH, HEIGHT = 860, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 56, 52
# Points of a line that can be told apart at this width.
MAX_POINTS = 2000
BLUE, BAND, GREY, INK = "#1f5fae", "#c3d7ef", "#c4c8cd", "#333"


class _Axes:
    """Mapping of times and values to positions in the picture."""

    def __init__(self, times: Sequence[float], values: Sequence[float]) -> None:
        self.times = _apart(times[0], times[-1])
        low, high = _apart(min(values), max(values))
        margin = (high - low) * 0.06
        self.values = (low - margin, high + margin)

    def x(self, time: float) -> float:
        """Return the pixels from the left."""
        return LEFT + (time - self.times[0]) / (self.times[1] - self.times[0]) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return the pixels from above."""
        return HEIGHT - BOTTOM - (value - self.values[0]) / (self.values[1] - self.values[0]) * (HEIGHT - TOP - BOTTOM)


def svg(traces: Traces, result: Mean, settings: Settings) -> str:
    """Return `plot.svg`: the mean, a band of one standard error, and, where they are wanted, the traces behind it."""
    every = max(1, math.ceil(len(result.times) / MAX_POINTS))
    columns = traces.values if settings.has_traces else []
    shown = [value for column in columns for value in column if value is not None]
    for middle, error in zip(result.means, result.errors, strict=True):
        if middle is not None:
            shown += [middle - (error or 0.0), middle + (error or 0.0)]
    axes = _Axes(result.times, shown)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
        ' font-family="sans-serif" font-size="13">',
        f"<title>{escape(settings.title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="30" font-size="18" fill="{INK}">{escape(settings.title)}</text>',
        *_grid(axes),
    ]
    for column in columns:
        parts += [_line(path, GREY, 1) for path in _paths(axes, result.times, column, every)]
    parts += _bands(axes, result, every)
    parts += [_line(path, BLUE, 2.5) for path in _paths(axes, result.times, result.means, every)]
    parts += [f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle" fill="{INK}">Time (s)</text>', "</svg>", ""]
    return "\n".join(parts)


def _apart(low: float, high: float) -> tuple[float, float]:
    """Return both, so far apart that something can be drawn between them."""
    size = max(abs(low), abs(high), 1e-90)
    return (low, high) if high - low > size * 1e-9 else (low - size / 2, high + size / 2)


def _grid(axes: _Axes) -> Iterator[str]:
    for value in _ticks(*axes.values):
        y = axes.y(value)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e6e8eb"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{INK}">{value:g}</text>'
    for time in _ticks(*axes.times):
        x = axes.x(time)
        yield f'<path d="M{x:.1f} {HEIGHT - BOTTOM}v6" stroke="{INK}"/>'
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 21}" text-anchor="middle" fill="{INK}">{time:g}</text>'
    yield f'<path d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}" stroke="{INK}"/>'


def _ticks(low: float, high: float) -> list[float]:
    """Return about six round numbers in between."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _paths(axes: _Axes, times: Sequence[float], values: Sequence[float | None], every: int) -> list[str]:
    paths = []
    for run in stretches_of(values):
        points = [(axes.x(times[index]), axes.y(values[index] or 0.0)) for index in run[::every]]
        paths.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points))
    return paths


def _bands(axes: _Axes, result: Mean, every: int) -> list[str]:
    bands = []
    for run in stretches_of(result.errors):
        kept = run[::every]
        edges = [(index, (result.means[index] or 0.0), (result.errors[index] or 0.0)) for index in kept]
        there = [f"{axes.x(result.times[index]):.1f} {axes.y(middle + error):.1f}" for index, middle, error in edges]
        back = [f"{axes.x(result.times[index]):.1f} {axes.y(middle - error):.1f}" for index, middle, error in reversed(edges)]
        bands.append(f'<path d="M{"L".join([*there, *back])}Z" fill="{BAND}" fill-opacity="0.8"/>')
    return bands


def _line(path: str, colour: str, width: float) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}" stroke-linejoin="round"/>'

"""The mean of traces that were recorded together. Nothing but Python's own library, so that it runs anywhere."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import _csv

# Of a table that is held in memory whole.
MAX_CELLS = 5_000_000
MAX_VALUE = 1e100


class NoTraces(ValueError):
    """The file is none that this analysis reads, or the settings leave nothing of it. The message says where and why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that `template.yaml` describes. `baseline` and `pause` are seconds, `smoothing` is samples."""

    baseline: float = 0.0
    smoothing: int = 1
    leave_out: frozenset[str] = frozenset()
    pause: float = 0.0
    title: str = "Mean trace"
    has_traces: bool = True

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Settings":
        """Read a configuration. Raises NoTraces for impossible values; unknown names are ignored."""
        plot = given.get("plot") or {}
        if not isinstance(plot, Mapping):
            raise NoTraces("plot: has to hold title and traces.")
        left = given.get("leave_out") or []
        if not isinstance(left, Sequence) or isinstance(left, str):
            raise NoTraces("leave_out: has to be a list of columns.")
        return cls(
            baseline=_number(given, "baseline", 0.0, 1e9),
            smoothing=int(_number(given, "smoothing", 1, 1001)),
            leave_out=frozenset(str(column) for column in left),
            pause=_number(given, "pause", 0.0, 10.0),
            title=str(plot.get("title", "Mean trace"))[:100],
            has_traces=bool(plot.get("traces", True)),
        )


@dataclass(slots=True)
class Traces:
    """A table of `len(times)` samples (seconds) in each of the named traces; None where a trace has none."""

    times: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    values: list[list[float | None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mean:
    """Time (s), mean, standard error (None of fewer than two traces) and number of traces, one of each for every sample."""

    times: tuple[float, ...]
    means: tuple[float | None, ...]
    errors: tuple[float | None, ...]
    counts: tuple[int, ...]

    @property
    def peak(self) -> tuple[float, float]:
        """Time (s) and value of the mean's maximum."""
        return max(((time, mean) for time, mean in zip(self.times, self.means, strict=True) if mean is not None), key=_second)


def read(lines: Iterable[str], leave_out: frozenset[str] = frozenset()) -> Traces:
    """Read a comma-separated table: time, then one column for each trace. Raises NoTraces with the line."""
    rows = csv.reader(lines)
    try:
        return _table(rows, leave_out)
    except csv.Error as error:
        raise NoTraces(f"Line {rows.line_num}: {error}.") from error


def _table(rows: "_csv.Reader", leave_out: frozenset[str]) -> Traces:
    head = next(rows, [])
    if len(head) < 2:
        raise NoTraces("Line 1: no columns; a time and at least one trace are needed.")
    kept = [(number, name.strip()) for number, name in enumerate(head[1:], start=1) if name.strip() not in leave_out]
    if not kept:
        raise NoTraces("All columns are left out.")
    traces = Traces(names=[name for _, name in kept], values=[[] for _ in kept])
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(head):
            raise NoTraces(f"Line {rows.line_num}: {len(row)} cells, where line 1 has {len(head)}.")
        traces.times.append(_time(row[0], rows.line_num, traces.times))
        for column, (number, name) in zip(traces.values, kept, strict=True):
            column.append(_cell(row[number], rows.line_num, name))
        if len(traces.times) * len(kept) > MAX_CELLS:
            raise NoTraces(f"More than {MAX_CELLS:,} samples are too many for this example.")
    if not any(value is not None for column in traces.values for value in column):
        raise NoTraces("No samples below line 1.")
    return traces


def _time(text: str, line: int, before: Sequence[float]) -> float:
    time = _cell(text, line, "time")
    if time is None:
        raise NoTraces(f"Line {line}: no time.")
    if before and time <= before[-1]:
        raise NoTraces(f"Line {line}: the time does not grow ({text.strip()[:40]}).")
    return time


def smoothed(traces: Traces, samples: int) -> Traces:
    """Return each trace's moving mean over this many samples around each; at the ends over the existing ones."""
    return Traces(traces.times, traces.names, [_moving(column, samples) for column in traces.values])


def without_baseline(traces: Traces, seconds: float) -> Traces:
    """Subtract from each trace its mean over the first `seconds`."""
    until = traces.times[0] + seconds
    first = sum(1 for time in traces.times if time < until)
    changed = []
    for column in traces.values:
        known = [value for value in column[:first] if value is not None]
        base = sum(known) / len(known) if known else 0.0
        changed.append([None if value is None else value - base for value in column])
    return Traces(traces.times, traces.names, changed)


def mean(traces: Traces) -> Mean:
    """Return the mean over the traces at each sample, of those that have it."""
    means: list[float | None] = []
    errors: list[float | None] = []
    counts = []
    for sample in zip(*traces.values, strict=True):
        known = [value for value in sample if value is not None]
        middle = sum(known) / len(known) if known else None
        means.append(middle)
        errors.append(_standard_error(known, middle) if middle is not None and len(known) > 1 else None)
        counts.append(len(known))
    return Mean(tuple(traces.times), tuple(means), tuple(errors), tuple(counts))


def as_csv(result: Mean) -> str:
    """Return the text of `mean.csv`."""
    rows = ["time,mean,standard_error,traces"]
    for time, middle, error, count in zip(result.times, result.means, result.errors, result.counts, strict=True):
        rows.append(f"{time:g},{_text(middle)},{_text(error)},{count}")
    return "\n".join(rows) + "\n"


def _moving(column: Sequence[float | None], samples: int) -> list[float | None]:
    if samples == 1:
        return list(column)
    before, after = (samples - 1) // 2, samples // 2
    # Running sums, so that a wide window costs no more than a narrow one.
    sums, counts = [0.0], [0]
    for value in column:
        sums.append(sums[-1] + (value or 0.0))
        counts.append(counts[-1] + (value is not None))
    averages: list[float | None] = []
    for index, value in enumerate(column):
        low, high = max(0, index - before), min(len(column), index + after + 1)
        averages.append(None if value is None else (sums[high] - sums[low]) / (counts[high] - counts[low]))
    return averages


def _standard_error(known: Sequence[float], middle: float) -> float:
    return math.sqrt(sum((value - middle) ** 2 for value in known) / (len(known) - 1) / len(known))


def _cell(text: str, line: int, name: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # Not so large either that its square is none.
    if not abs(value) <= MAX_VALUE:
        raise NoTraces(f"Line {line}, {name}: {text.strip()[:40]!r} is no number.")
    return value


def _number(given: Mapping[str, Any], name: str, minimum: float, maximum: float) -> float:
    value = given.get(name, minimum)
    if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= maximum:
        raise NoTraces(f"{name}: has to be a number from {minimum:g} to {maximum:g}, not {str(value)[:40]!r}.")
    return float(value)


def _second(pair: tuple[float, float]) -> float:
    return pair[1]


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def stretches_of(values: Sequence[float | None]) -> list[list[int]]:
    """Return the indices of samples that exist, in stretches without a gap."""
    known = [index for index, value in enumerate(values) if value is not None]
    stretches: list[list[int]] = [known[:1]] if known else []
    for before, index in pairwise(known):
        if index == before + 1:
            stretches[-1].append(index)
        else:
            stretches.append([index])
    return stretches

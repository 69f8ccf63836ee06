"""The example analysis: what it computes, and what it refuses."""

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.example_analysis import mean_trace
from assets.example_analysis.mean_trace import NoTraces, Settings, Traces
from assets.example_analysis.plot import svg
from control_plane.research.catalogue.checking import check_configuration, parse_configuration

FOLDER = Path(__file__).resolve().parents[2] / "assets/example_analysis"
TABLE = "time,a,b,c\n0,1,2,3\n0.5,2,,4\n1,,,\n1.5,5,5,5\n"


def test_the_mean_is_of_the_traces_that_have_a_sample() -> None:
    found = mean_trace.mean(mean_trace.read(TABLE.splitlines()))
    assert found.times == (0, 0.5, 1, 1.5)
    assert found.means == (2, 3, None, 5)
    assert found.counts == (3, 2, 0, 3)
    assert found.errors[0] == pytest.approx(1 / math.sqrt(3))
    assert found.errors[2] is None
    assert found.peak == (1.5, 5)
    assert mean_trace.as_csv(found).splitlines()[2:4] == ["0.5,3,1,2", "1,,,0"]


@pytest.mark.parametrize(
    ("samples", "expected"), [(1, [0, 0, 6, 0, 0]), (2, [0, 3, 3, 0, 0]), (3, [0, 2, 2, 2, 0]), (99, [1.2] * 5)]
)
def test_smoothing_is_a_mean_over_so_many_samples(samples: int, expected: list[float]) -> None:
    table = Traces([0, 1, 2, 3, 4], ["a"], [[0, 0, 6, 0, 0]])
    assert mean_trace.smoothed(table, samples).values == [pytest.approx(expected)]


def test_the_baseline_is_each_traces_own() -> None:
    table = Traces([10, 11, 12], ["a", "b"], [[1, 3, 10], [None, None, 4]])
    assert mean_trace.without_baseline(table, 2).values == [[-1, 1, 8], [None, None, 4]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Line 1"),
        ("time\n0\n", "Line 1"),
        ("time,a\n", "No samples"),
        ("time,a\n0,\n", "No samples"),
        ("time,a\n0,1\n1,x\n", "Line 3, a: 'x' is no number"),
        ("time,a\n0,nan\n", "is no number"),
        ("time,a\n0,1e300\n", "is no number"),
        ("time,a\n0,1,2\n", "Line 2: 3 cells"),
        ("time,a\n0,1\n0,2\n", "Line 3: the time does not grow"),
        ("time,a\n,1\n", "Line 2: no time"),
        ("time,a\n0," + "1" * 200_000 + "\n", "Line 2: field larger"),
    ],
)
def test_a_file_that_is_no_table_is_refused_by_its_line(text: str, words: str) -> None:
    with pytest.raises(NoTraces, match=words):
        mean_trace.read(text.splitlines())


def test_leaving_out_every_column_is_refused() -> None:
    assert mean_trace.read(TABLE.splitlines(), frozenset({"a"})).names == ["b", "c"]
    with pytest.raises(NoTraces, match="All columns"):
        mean_trace.read(TABLE.splitlines(), frozenset({"a", "b", "c"}))


@pytest.mark.parametrize(
    "given_", [{"baseline": -1}, {"baseline": "soon"}, {"smoothing": True}, {"pause": 1e9}, {"leave_out": "a"}, {"plot": 3}]
)
def test_a_setting_that_makes_no_sense_is_named(given_: dict[str, object]) -> None:
    with pytest.raises(NoTraces, match=next(iter(given_))):
        Settings.of(given_)


numbers = st.floats(-1e100, 1e100) | st.none()
columns = st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=1, max_size=4).filter(
    lambda values: any(item is not None for column in values for item in column)
)


@given(columns, st.booleans(), st.text(max_size=20), st.sampled_from([1e-80, 0.02, 1e90]))
def test_whatever_was_recorded_can_be_drawn(values: list[list[float | None]], has_traces: bool, title: str, step: float) -> None:
    table = Traces([step * number for number in range(4)], [f"trace {number}" for number in range(len(values))], values)
    title = "".join(item for item in title if item.isprintable())
    drawn = svg(table, mean_trace.mean(table), Settings(title=title, has_traces=has_traces))
    picture = ElementTree.fromstring(drawn)  # noqa: S314 - our own
    assert "nan" not in drawn
    assert "inf" not in "".join(path.get("d", "") for path in picture.iter("{http://www.w3.org/2000/svg}path"))


def test_the_plot_holds_nothing_that_runs() -> None:
    table = mean_trace.read(TABLE.splitlines())
    drawn = svg(table, mean_trace.mean(table), Settings(title="<script>alert(1)</script> & more"))
    assert "<script" not in drawn
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in drawn


def test_the_template_is_right_by_its_schema_and_the_samples_can_be_read() -> None:
    template, schema = ((FOLDER / name).read_text() for name in ("template.yaml", "schema.json"))
    assert check_configuration(template, template, schema) == []
    settings = Settings.of(parse_configuration(template))
    assert (settings.baseline, settings.smoothing, settings.title) == (1.0, 5, "Mean trace")
    assert set(parse_configuration(template)) == set(json.loads(schema)["properties"])
    for sample in sorted((FOLDER / "samples").glob("*.csv")):
        with sample.open() as lines:
            table = mean_trace.read(lines)
        assert len(table.times) == 400
        assert 3 < mean_trace.mean(table).peak[0] < 5

"""The calibration's rows. Whether this machine's relay is the line that it should be, `make bench` says, and no test."""

import pytest

from tests.benchmarks import calibration
from tests.benchmarks.calibration import calibrate
from tests.benchmarks.relay.process import Line


def test_a_line_is_neither_faster_nor_shorter_than_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TRIES", 1), ("DELAYS", 3), ("BODY_SECONDS", 0.05)):
        monkeypatch.setattr(calibration, name, value)
    up, down, delay, opening, processor = calibrate(Line(0.01, 100e6))
    for row in (up, down):
        assert (row.unit, row.peer) == ("Mbit/s", 100)
        assert 0 < row.value <= 100.1
    assert (delay.unit, delay.peer, opening.peer) == ("ms", 10, 20)
    assert delay.value >= 10
    assert opening.value >= 20
    assert processor.unit == "s"
    assert all(row.name.startswith("relay of 10 ms and 100 Mbit/s: ") for row in (up, down, delay, opening, processor))


@pytest.mark.parametrize(("mbit", "met"), [(298, True), (302, True), (296, False), (304, False)])
def test_a_rate_is_met_within_a_hundredth(mbit: float, met: bool) -> None:
    assert calibration._rate_row("x", Line(0.03, 300e6), [mbit * 1e6]).met is met


@pytest.mark.parametrize(("ms", "met"), [(28.5, True), (31.9, True), (32.1, False), (27.9, False)])
def test_a_delay_is_met_within_two_milliseconds(ms: float, met: bool) -> None:
    assert calibration._delay_row("x", 0.03, [ms / 1e3]).met is met

"""Every step, on the embedded AWS with its IAM's delay on: what `make conformance` runs, without writing its report."""

from pathlib import Path

import pytest

from tests.conformance import targets
from tests.conformance.running import as_line, conduct
from tests.slow import IS_SLOW_WANTED

# Two to three minutes on two cores; many times that with 101 key holders and a delay as on AWS.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600 if IS_SLOW_WANTED else 600)]


def test_every_step_passes_on_the_embedded_aws_though_its_iam_is_late(tmp_path: Path) -> None:
    with targets.embedded(tmp_path, None, is_slow=IS_SLOW_WANTED) as target:
        run = conduct(target, tmp_path, with_host=IS_SLOW_WANTED)
    assert [as_line(row) for row in run.rows if row.outcome != "passed"] == [], run.conditions

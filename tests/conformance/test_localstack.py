"""Every step that LocalStack's community core has what it needs for: an AWS that shares no code with the embedded one."""

from pathlib import Path

import pytest

from tests.conformance import localstack, targets
from tests.conformance.running import as_line, conduct
from tests.slow import slow

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800), slow]


def test_every_step_passes_on_localstack_or_needs_what_that_lacks(tmp_path: Path) -> None:
    with localstack.running(tmp_path / "aws") as endpoint:
        run = conduct(targets.localstack(endpoint, localstack.ACCOUNT, is_slow=False), tmp_path)
    assert [as_line(row) for row in run.rows if row.outcome not in ("passed", "not supported by this AWS")] == []
    # What needs no decision of IAM is not excused: all of this was seen to pass there.
    whole = ("Bootstrap and platform", "Groups, analyses and members")
    assert [as_line(row) for row in run.rows if row.subject in whole and row.outcome != "passed"] == []
    assert {row.subject for row in run.rows if row.outcome == "passed"} >= {"Uploads", "Undo", "Many key holders", "Retirement"}

"""`manage.py doctor` as a command: before there are settings, by step, as JSON, and its exit status."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from control_plane.doctor import checks, command, report
from control_plane.doctor.checks import Check, CheckFinding
from control_plane.doctor.findings import Finding, State, not_yet, ok, to_do, unknown
from tests.control_plane.doctor_context import context

ROOT = Path(__file__).resolve().parents[3]
HERE = Check("here", "Here", lambda _: [], frozenset({3}))
HOST = Check("host", "Host", lambda _: [], frozenset({6}), is_of_host=True)
READY, TO_DO, HIDDEN = ok("fine"), to_do("broken", "mend it"), unknown("may not call X")


def lines(*found: Finding, check: Check = HERE) -> list[CheckFinding]:
    return [CheckFinding(check, item) for item in found]


@pytest.mark.parametrize(
    ("found", "step", "status"),
    [
        ([READY], None, 0),
        ([READY, TO_DO, HIDDEN], 3, 1),
        ([READY, HIDDEN], 3, 2),
        ([READY, not_yet(3, "later")], None, 1),
        # What the step itself makes, or one after it, need not be there before it.
        ([READY, not_yet(3, "later")], 3, 0),
        ([READY, not_yet(2, "later")], 3, 1),
    ],
)
def test_the_exit_status_tells_ready_to_do_and_could_not_look(found: list[Finding], step: int | None, status: int) -> None:
    assert report.status(lines(*found), step) == status


def test_what_only_the_host_can_tell_counts_for_nothing_elsewhere() -> None:
    elsewhere = lines(READY) + lines(not_yet(5, "is looked at on the host"), check=HOST)
    assert report.status(elsewhere, None) == report.status(elsewhere, 6) == 0
    assert report.next_step(elsewhere) is None
    assert report.status(lines(TO_DO, check=HOST), None) == 1


def test_the_first_step_that_has_something_to_make_is_the_next() -> None:
    found = lines(READY, not_yet(4, "no DNS"), not_yet(3, "no host"))
    assert report.next_step(found) == 3
    assert report.as_text(found, None).endswith("Next is step 3, Deploy: docs/operations.md.")
    assert "Steps 1 to 5 are done" in report.as_text(lines(READY), None)


def test_each_line_says_what_was_seen_and_what_to_do() -> None:
    text = report.as_text(lines(READY, to_do("broken", "run this:\ncdk deploy")), 3)
    assert text.splitlines() == [
        "ok              Here: fine",
        "to do           Here: broken",
        "                -> run this:",
        "                   cdk deploy",
        "",
        "Step 3 (Deploy) is not ready: 1 to do first.",
    ]
    assert report.as_text(lines(READY), 3).endswith("Step 3 (Deploy) is ready.")


def test_as_json_the_same_is_told_to_programs() -> None:
    out = io.StringIO()
    status = command.run(step=1, as_json=True, out=out, context=context({"DescribeRegions": "UnauthorizedOperation: no"}))
    document = json.loads(out.getvalue())
    assert status in (1, 2)
    assert document["ready"] is False
    assert {check["name"]: check["state"] for check in document["checks"]}["region"] == "could not look"


def test_each_step_looks_at_what_it_needs_and_no_more() -> None:
    needed = {step: {check.name for check in checks.CHECKS if step in check.steps} for step in checks.STEPS}
    assert all({"credentials", "clock", "region"} <= names for names in needed.values())
    assert needed[1] == {"credentials", "clock", "region"}
    assert "site" in needed[2]
    assert {"policies", "cdk", "execution-role", "zones"} <= needed[3]
    assert {"dns", "certificate", "ready", "mail"} <= needed[5]
    # By step 4 there is no host yet: its certificate comes after its DNS.
    assert "host-stack" not in needed[4]
    assert all(check.steps for check in checks.CHECKS)
    assert len({check.name for check in checks.CHECKS}) == len(checks.CHECKS)


def test_whatever_a_check_meets_is_its_own_line() -> None:
    def broken(_: Any) -> list[Finding]:
        raise OSError("no route")

    (line,) = checks.run_checks(context(), checks=[Check("broken", "Broken", broken, frozenset({1}))])
    assert line.finding.state is State.UNKNOWN
    assert "no route" in line.finding.seen


def doctor(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command in a process that has no more settings than these, and no credentials."""
    own = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "VAR_DIR": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
    return subprocess.run(
        [sys.executable, "manage.py", "doctor", *arguments],
        cwd=ROOT,
        env=own | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs_before_there_are_any_settings() -> None:
    done = doctor()
    assert done.returncode == 1, done.stderr
    assert "Cohort cannot start" not in done.stdout + done.stderr
    assert "there are no credentials" in done.stdout
    assert "Next is step 1, Settings" in done.stdout
    assert "Disk: is looked at on the host" in done.stdout


def test_a_setting_that_cannot_be_used_is_named_and_the_rest_is_looked_at_all_the_same() -> None:
    done = doctor("--json", SECRET_KEY="s" * 50, COHORT_ACCOUNT="111122223333", EMAIL_URL="smtp://u:hidden-word@h/x")
    (site,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "site")
    assert site["state"] == "to do"
    assert "EMAIL_URL" in site["seen"]
    assert "hidden-word" not in done.stdout + done.stderr

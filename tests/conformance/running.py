"""Conduct one run from the first step to the last thing removed."""

import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from botocore.exceptions import BotoCoreError, ClientError

from tests.conformance import presence
from tests.conformance.journal import Journal
from tests.conformance.removal import remove
from tests.conformance.report import Outcome, Row, Run, new_run
from tests.conformance.step import Need, lacking, run_all
from tests.conformance.steps import all_steps
from tests.conformance.targets import Target
from tests.conformance.tour import Tour

JOURNAL = "journal.jsonl"
REMOVAL = "Removal"
NEED: Need = "deletion of CDK’s bootstrap"
# IAM and CloudFormation list what is gone for a while.
LISTED_SECONDS = 60


def tell(line: str) -> None:
    """Print a line at once, also where nobody watches."""
    print(line, flush=True)


def conduct(target: Target, folder: Path, *, with_host: bool = False, domain: str = "", say: Callable[[str], None] = tell) -> Run:
    """Run every step, then remove all that was made, whatever came of the steps; also after Ctrl-C, which is raised then."""
    journal = Journal(folder / JOURNAL)
    run = secrets.token_hex(4)
    journal.begin(target.account, target.region, run)
    tour = Tour(target, journal, folder, run, domain=domain or "cohort.example.org")
    rows: list[Row] = []
    try:
        rows = run_all(
            all_steps(with_host=with_host), tour, lambda row: None if row.outcome == "not reached" else say(as_line(row))
        )
    finally:
        with not_interrupted(say):
            tour.close()
            rows += clean_up(target, journal, say)
    return new_run(target.name, target.conditions, rows)


@contextmanager
def not_interrupted(say: Callable[[str], None]) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM wait while what was made is removed: the first one led here."""

    def go_on(number: int, frame: FrameType | None) -> None:
        say("What was made is being removed; that takes some minutes on AWS. Please wait.")

    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, go_on) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def clean_up(target: Target, journal: Journal, say: Callable[[str], None] = tell) -> list[Row]:
    """Remove all that the journal names and list what is left, by name and by tag. Returns a row for each."""
    began = time.monotonic()
    try:
        stays = remove(target, journal, say)
    except Exception as error:
        stays = [f"{type(error).__name__}: {error}"]
    removed = Row(
        f"{REMOVAL}: removed",
        REMOVAL,
        "All that was made is removed",
        _outcome(target, is_clean=not stays),
        round(time.monotonic() - began, 2),
        "; ".join(stays),
    )
    say(as_line(removed))
    return [removed, left(target, say)]


def left(target: Target, say: Callable[[str], None]) -> Row:
    """The row of what an account holds of Cohort's: nothing, if all is well."""
    began = time.monotonic()
    try:
        while (found := presence.by_name(target)) and time.monotonic() - began < LISTED_SECONDS:
            time.sleep(1)
        tagged = presence.by_tag(target)
    except (BotoCoreError, ClientError) as error:
        found, tagged = [f"not known: {error}"], []
    # What the tag finds and no name does was deleted a moment ago: AWS lists that for a while.
    lines = [*(f"by name: {item}" for item in found), *(f"by tag: {item}" for item in tagged or [])]
    for line in lines or ["Nothing of Cohort's is left, by name or by tag."]:
        say(line)
    note = "; ".join(lines) or ("this AWS does not list by tag" if tagged is None else "")
    seconds = round(time.monotonic() - began, 2)
    outcome = _outcome(target, is_clean=not found)
    return Row(f"{REMOVAL}: left", REMOVAL, "Nothing is left, by name or by tag", outcome, seconds, note)


def _outcome(target: Target, *, is_clean: bool) -> Outcome:
    if is_clean:
        return "passed"
    return "not supported by this AWS" if NEED in lacking().get(target.name, {}) else "failed"


def as_line(row: Row) -> str:
    """A row for a terminal."""
    return f"{row.outcome:>12} {row.seconds:6.1f} s  {row.subject}: {row.title}{f' ({row.note})' if row.note else ''}"

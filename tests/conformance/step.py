"""Steps: what is tried, in which order, and the row that each becomes."""

import time
import tomllib
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.conformance.report import Row

if TYPE_CHECKING:
    from tests.conformance.tour import Tour

Need = Literal[
    "changes of access keys",
    "changes of IAM users and groups",
    "decisions of IAM",
    "deletion of CDK’s bootstrap",
    "deletion policies",
    "drift detection",
    "HEAD of delete markers",
    "removal of nested stacks",
]
# A step returns what is worth a note: what was measured, or how AWS decided what no document does.
Action = Callable[["Tour"], str | None]
MAX_OF_A_REASON = 600


@dataclass(frozen=True)
class Step:
    """One row. Without a `vital` one, those that follow make no sense."""

    id: str
    subject: str
    title: str
    action: Action
    needs: tuple[Need, ...] = ()
    is_vital: bool = False


class Steps:
    """Steps of one subject, in the order in which they are declared."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.all: list[Step] = []

    def step(self, title: str, *needs: Need, vital: bool = False) -> Callable[[Action], Action]:
        """Declare a function as a step with this title; its name is the row's id."""

        def declare(action: Action) -> Action:
            self.add(action.__name__, title, action, *needs, vital=vital)
            return action

        return declare

    def add(self, name: str, title: str, action: Action, *needs: Need, vital: bool = False) -> None:
        """Declare a step under a name of its own."""
        self.all.append(Step(f"{self.subject}: {name}", self.subject, title, action, needs, vital))


def lacking() -> dict[str, dict[str, str]]:
    """What each target is known to lack, with the reasons."""
    return tomllib.loads((Path(__file__).parent / "lacking.toml").read_text())


def run_all(steps: Iterable[Step], tour: "Tour", say: Callable[[Row], None]) -> list[Row]:
    """Run them in their order, each whatever came of those before, unless a vital one failed."""
    lacks = lacking().get(tour.target.name, {})
    rows: list[Row] = []
    stopped = ""
    for step in steps:
        if missing := [need for need in step.needs if need in lacks]:
            row = Row(step.id, step.subject, step.title, "not supported by this AWS", note=f"no {missing[0]}")
        elif stopped:
            row = Row(step.id, step.subject, step.title, "not reached", note=f"needs “{stopped}”")
        else:
            row = _run(step, tour)
            if step.is_vital and row.outcome != "passed":
                stopped = step.title
        rows.append(row)
        say(row)
    return rows


def _run(step: Step, tour: "Tour") -> Row:
    began = time.monotonic()
    try:
        note = step.action(tour) or ""
    except Exception as error:
        said = str(error) or str(traceback.extract_tb(error.__traceback__)[-1].line)
        reason = f"{type(error).__name__}: {said}"[:MAX_OF_A_REASON]
        tour.log(f"{step.id}\n{traceback.format_exc()}")
        return Row(step.id, step.subject, step.title, "failed", round(time.monotonic() - began, 2), reason)
    return Row(step.id, step.subject, step.title, "passed", round(time.monotonic() - began, 2), note)

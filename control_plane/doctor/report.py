"""Report of the doctor: text for people, JSON for programs, the next step, and the exit status."""

import json
from collections.abc import Sequence
from typing import Any

from control_plane.doctor.checks import STEPS, CheckFinding
from control_plane.doctor.findings import State

READY, SOMETHING_TO_DO, COULD_NOT_LOOK = 0, 1, 2
# Steps up to this one are done once; later ones are done on occasion.
LAST_OF_SETUP = 5
WIDTH = max(map(len, State))
INDENT = " " * (WIDTH + 2)


def status(results: Sequence[CheckFinding], step: int | None) -> int:
    """Return the exit status: 0 all is ready, 1 something is to be done, 2 a check could not be made."""
    counted = [result for result in results if not _is_on_host_only(result)]
    if any(result.finding.state is State.TO_DO or is_due(result, step) for result in counted):
        return SOMETHING_TO_DO
    return COULD_NOT_LOOK if any(result.finding.state is State.UNKNOWN for result in counted) else READY


def is_due(result: CheckFinding, step: int | None) -> bool:
    """Check whether a missing object should exist by now: one that an earlier step makes, or any if no step was given."""
    return result.finding.state is State.NOT_YET and (step is None or result.finding.step < step)


def next_step(results: Sequence[CheckFinding]) -> int | None:
    """Return the first step that has something left to make, or None."""
    steps = [result.finding.step for result in results if result.finding.state is State.NOT_YET and not _is_on_host_only(result)]
    return min(steps, default=None)


def as_text(results: Sequence[CheckFinding], step: int | None) -> str:
    """Return a line for each finding, with its advice below, and a last line with the next step."""
    written = []
    for result in results:
        finding = result.finding
        written.append(f"{finding.state:<{WIDTH}}  {result.check.title}: {finding.seen}")
        written += [
            f"{INDENT}-> {advice}" if number == 0 else f"{INDENT}   {advice}"
            for number, advice in enumerate(finding.advice.splitlines())
        ]
    return "\n".join([*written, "", _conclusion(results, step)])


def as_json(results: Sequence[CheckFinding], step: int | None) -> str:
    """Return the report as a JSON object."""
    document: dict[str, Any] = {
        "step": step,
        "ready": status(results, step) == READY,
        "next_step": next_step(results),
        "checks": [
            {
                "name": result.check.name,
                "title": result.check.title,
                "state": str(result.finding.state),
                "seen": result.finding.seen,
                "advice": result.finding.advice,
                "step": result.finding.step or None,
                "on_host": _is_on_host_only(result),
            }
            for result in results
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _conclusion(results: Sequence[CheckFinding], step: int | None) -> str:
    outcome = status(results, step)
    count = sum(
        result.finding.state is State.TO_DO or (step is not None and is_due(result, step))
        for result in results
        if not _is_on_host_only(result)
    )
    if step is not None:
        name = f"Step {step} ({STEPS[step]})"
        if outcome == SOMETHING_TO_DO:
            return f"{name} is not ready: {count} to do first."
        return f"{name} is ready." if outcome == READY else f"{name} is ready as far as could be checked."
    todo = f"{count} to do. " if any(result.finding.state is State.TO_DO for result in results) else ""
    following = next_step(results)
    if following is not None:
        return f"{todo}Next is step {following}, {STEPS[following]}: docs/operations.md."
    later = f"Steps 1 to {LAST_OF_SETUP} are done; {LAST_OF_SETUP + 1} ({STEPS[LAST_OF_SETUP + 1]}) comes with a new version."
    return f"{todo}{'' if outcome != COULD_NOT_LOOK else 'Not everything could be checked. '}{later}"


def _is_on_host_only(result: CheckFinding) -> bool:
    """Check whether the finding is one that only the host can make."""
    return result.check.is_of_host and result.finding.state is State.NOT_YET

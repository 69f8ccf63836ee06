"""The doctor's words: lines for people, JSON for programs, the next step, and the exit status."""

import json
from collections.abc import Sequence
from typing import Any

from control_plane.doctor.checks import STEPS, Line
from control_plane.doctor.findings import State

READY, SOMETHING_TO_DO, COULD_NOT_LOOK = 0, 1, 2
# Steps that are done once; those after them come when they are called for.
LAST_OF_SETUP = 5
WIDTH = max(map(len, State))
INDENT = " " * (WIDTH + 2)


def status(lines: Sequence[Line], step: int | None) -> int:
    """Return the exit status: 0 all is ready, 1 something is to be done, 2 something could not be looked at."""
    counted = [one for one in lines if not _is_elsewhere(one)]
    if any(one.finding.state is State.TO_DO or is_due(one, step) for one in counted):
        return SOMETHING_TO_DO
    return COULD_NOT_LOOK if any(one.finding.state is State.UNKNOWN for one in counted) else READY


def is_due(line: Line, step: int | None) -> bool:
    """Whether what is not there yet would have to be: what the steps before make, and everything if no step is asked about."""
    return line.finding.state is State.NOT_YET and (step is None or line.finding.step < step)


def next_step(lines: Sequence[Line]) -> int | None:
    """Return the first step that has something left to make, or None."""
    steps = [one.finding.step for one in lines if one.finding.state is State.NOT_YET and not _is_elsewhere(one)]
    return min(steps, default=None)


def as_text(lines: Sequence[Line], step: int | None) -> str:
    """Write one line for each finding, with what to do under it, and a last one with what comes next."""
    written = []
    for one in lines:
        found = one.finding
        written.append(f"{found.state:<{WIDTH}}  {one.check.title}: {found.seen}")
        written += [
            f"{INDENT}-> {line}" if number == 0 else f"{INDENT}   {line}" for number, line in enumerate(found.advice.splitlines())
        ]
    return "\n".join([*written, "", _last(lines, step)])


def as_json(lines: Sequence[Line], step: int | None) -> str:
    """Write the same as a JSON object."""
    document: dict[str, Any] = {
        "step": step,
        "ready": status(lines, step) == READY,
        "next_step": next_step(lines),
        "checks": [
            {
                "name": one.check.name,
                "title": one.check.title,
                "state": str(one.finding.state),
                "seen": one.finding.seen,
                "advice": one.finding.advice,
                "step": one.finding.step or None,
                "on_host": _is_elsewhere(one),
            }
            for one in lines
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _last(lines: Sequence[Line], step: int | None) -> str:
    result = status(lines, step)
    count = sum(
        one.finding.state is State.TO_DO or (step is not None and is_due(one, step)) for one in lines if not _is_elsewhere(one)
    )
    if step is not None:
        name = f"Step {step} ({STEPS[step]})"
        if result == SOMETHING_TO_DO:
            return f"{name} is not ready: {count} to do first."
        return f"{name} is ready." if result == READY else f"{name} is ready as far as could be looked."
    todo = f"{count} to do. " if any(one.finding.state is State.TO_DO for one in lines) else ""
    following = next_step(lines)
    if following is not None:
        return f"{todo}Next is step {following}, {STEPS[following]}: docs/operations.md."
    later = f"Steps 1 to {LAST_OF_SETUP} are done; {LAST_OF_SETUP + 1} ({STEPS[LAST_OF_SETUP + 1]}) comes with a new version."
    return f"{todo}{'' if result != COULD_NOT_LOOK else 'Not everything could be looked at. '}{later}"


def _is_elsewhere(line: Line) -> bool:
    """Whether the host alone could tell."""
    return line.check.is_of_host and line.finding.state is State.NOT_YET

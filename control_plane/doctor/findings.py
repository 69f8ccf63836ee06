"""Findings of checks, and the exceptions of checks that cannot be made."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """State of a finding."""

    OK = "ok"
    TO_DO = "to do"
    NOT_YET = "not yet"
    UNKNOWN = "could not look"


@dataclass(frozen=True)
class Finding:
    """Observation and advice. `step` is the step of docs/operations.md that makes what is missing yet."""

    state: State
    seen: str
    advice: str = ""
    step: int = 0


class CannotLook(RuntimeError):
    """The check cannot be made. The message says why."""

    def __init__(self, why: str, advice: str = "") -> None:
        super().__init__(why)
        self.advice = advice


class NeedsStep(RuntimeError):
    """The object of the check is made by a later step."""

    def __init__(self, step: int, seen: str, advice: str = "") -> None:
        super().__init__(seen)
        self.step, self.seen, self.advice = step, seen, advice


def ok(seen: str) -> Finding:
    """Return a finding that is ready."""
    return Finding(State.OK, seen)


def to_do(seen: str, advice: str) -> Finding:
    """Return a finding that requires action."""
    return Finding(State.TO_DO, seen, advice)


def not_yet(step: int, seen: str, advice: str = "") -> Finding:
    """Return a finding about something that a later step makes."""
    return Finding(State.NOT_YET, seen, advice or f"Step {step} makes it.", step)


def unknown(seen: str, advice: str = "") -> Finding:
    """Return a finding about a check that could not be made, and why."""
    return Finding(State.UNKNOWN, seen, advice)

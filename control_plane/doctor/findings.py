"""What a check finds, and what stands between it and looking."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How something was found."""

    OK = "ok"
    TO_DO = "to do"
    NOT_YET = "not yet"
    UNKNOWN = "could not look"


@dataclass(frozen=True)
class Finding:
    """What was seen, and what to do about it. `step` is the step of docs/operations.md that makes what is not there yet."""

    state: State
    seen: str
    advice: str = ""
    step: int = 0


class CannotLook(RuntimeError):
    """Something stands in the way of looking. The message says what."""

    def __init__(self, why: str, advice: str = "") -> None:
        super().__init__(why)
        self.advice = advice


class NeedsStep(RuntimeError):
    """What would be looked at is made by a step that is still to come."""

    def __init__(self, step: int, seen: str, advice: str = "") -> None:
        super().__init__(seen)
        self.step, self.seen, self.advice = step, seen, advice


def ok(seen: str) -> Finding:
    """Build a finding that is ready."""
    return Finding(State.OK, seen)


def to_do(seen: str, advice: str) -> Finding:
    """Build a finding that somebody has to act on."""
    return Finding(State.TO_DO, seen, advice)


def not_yet(step: int, seen: str, advice: str = "") -> Finding:
    """Build a finding about what a later step makes."""
    return Finding(State.NOT_YET, seen, advice or f"Step {step} makes it.", step)


def unknown(seen: str, advice: str = "") -> Finding:
    """Build a finding about what could not be looked at, and why."""
    return Finding(State.UNKNOWN, seen, advice)

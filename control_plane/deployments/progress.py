"""Progress of a deployment, in words and numbers that a page shows as they are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from control_plane.deployments.backoff import MAX_TRIES
from control_plane.deployments.durations import duration, elapsed_seconds, expected_seconds
from control_plane.deployments.models import Deployment

# Resources that a page shows: all of one stack, and the first of those nested in it.
MAX_RESOURCES = 500

_ACTIONS = {"add": "added", "change": "changed", "replace": "made anew", "remove": "removed"}
_RESOURCE_STATES = {"waiting": ("…", "waiting"), "running": ("⟳", "under way"), "done": ("✓", "done"), "failed": ("✗", "failed")}
STAGES = {
    "synthesising": "Making the template",
    "looking": "Looking at what AWS holds",
    "publishing": "Publishing the manifest",
    "preparing": "Working out what changes",
    "executing": "Changing it on AWS",
    "recording": "Recording how it ended",
}


@dataclass(frozen=True)
class ResourceRow:
    """One resource that the deployment touches."""

    logical_id: str
    type: str
    action: str
    state: str
    icon: str
    word: str
    reason: str
    took: str


@dataclass(frozen=True)
class StageBar:
    """One stage of the time line: where it begins and how long it is, in percent of the whole."""

    title: str
    start: float
    width: float
    took: str


@dataclass(frozen=True)
class Progress:
    """Progress for a page: the bar is at `value` of `most`; `counted` says it by resource, if the plan is known."""

    value: int
    most: int
    counted: str
    resources: list[ResourceRow]
    stages: list[StageBar]
    elapsed: str
    expected: str
    next_try: str

    @property
    def label(self) -> str:
        """The bar's text for screen readers."""
        return self.counted or f"{self.value} %"


def progress_of(deployment: Deployment) -> Progress:
    """Return the deployment's progress. At most two queries, and none for a run that has ended."""
    now = timezone.now()
    resources = [_resource(resource) for resource in deployment.resources[:MAX_RESOURCES]]
    done, total = sum(resource.get("state") == "done" for resource in deployment.resources), len(deployment.resources)
    by_resource = bool(resources) and deployment.state != Deployment.State.SUCCEEDED
    elapsed = elapsed_seconds(deployment, now)
    return Progress(
        value=done if by_resource else deployment.percent,
        most=total if by_resource else 100,
        counted=f"{done} of {total} resources" if resources else "",
        resources=resources,
        stages=_bars(deployment.stages),
        elapsed="" if elapsed is None else duration(elapsed),
        expected=_expected(deployment),
        next_try=_next_try(deployment, now),
    )


def resource_name(cloudformation_type: str) -> str:
    """Return a resource type in words: 'IAM Role' for 'AWS::IAM::Role'."""
    return cloudformation_type.removeprefix("AWS::").replace("::", " ")


def action_word(action: str) -> str:
    """Return an action as a past participle, such as 'added'."""
    return _ACTIONS.get(action, action)


def _resource(resource: dict[str, Any]) -> ResourceRow:
    state = resource.get("state", "waiting")
    icon, word = _RESOURCE_STATES.get(state, ("…", state))
    seconds = resource.get("seconds")
    return ResourceRow(
        logical_id=resource.get("logical_id", ""),
        type=resource_name(resource.get("type", "")),
        action=action_word(resource.get("action", "")),
        state=state,
        icon=icon,
        word=word,
        reason=resource.get("reason") or "",
        took=duration(seconds) if seconds else "",
    )


def _bars(stages: dict[str, float]) -> list[StageBar]:
    """Return the stages in their order, which JSON in a database need not keep."""
    known = [(name, float(stages[name])) for name in STAGES if name in stages]
    # Never zero, so that it can be divided by; very short stages get a width that can be seen.
    whole = max(sum(seconds for _, seconds in known), 0.001)
    bars, before = [], 0.0
    for name, seconds in known:
        width = max(100 * seconds / whole, 0.5)
        bars.append(StageBar(STAGES[name], round(min(100 * before / whole, 99.5), 2), round(width, 2), duration(seconds)))
        before += seconds
    return bars


def _expected(deployment: Deployment) -> str:
    if not deployment.is_open:
        return ""
    seconds = expected_seconds(deployment.stack)
    return "" if seconds is None else duration(seconds)


def _next_try(deployment: Deployment, now: datetime) -> str:
    """Return when the next try begins, as 'Try 2 of 6 in 20 s'; empty if none waits."""
    if deployment.state != Deployment.State.QUEUED or not deployment.attempts or deployment.not_before is None:
        return ""
    seconds = (deployment.not_before - now).total_seconds()
    return f"Try {deployment.attempts + 1} of {MAX_TRIES} {f'in {duration(seconds)}' if seconds > 0 else 'begins now'}"

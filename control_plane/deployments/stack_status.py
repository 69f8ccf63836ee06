"""How stacks stand: in step with what is wanted, and as deployed, or not."""

from dataclasses import dataclass

from django.db.models import Case, Exists, F, IntegerField, OuterRef, Q, When

from control_plane.deployments.models import Deployment, DriftState, Stack, StackQuerySet
from control_plane.deployments.progress import resource_name

# What a page shows of the differences; the rest is told as a number.
MAX_DIFFERENCES = 100

_ICONS = {
    DriftState.UNKNOWN: "?",
    DriftState.CHECKING: "⟳",
    DriftState.IN_SYNC: "✓",
    DriftState.DRIFTED: "≠",
    DriftState.MISSING: "✗",
    DriftState.FAILED: "!",
}
_STATUS_WORDS = {"missing": "is not there", "changed": "was changed", "deleted": "was removed", "added": "was added"}
_STATUS_WORDS |= {"left": "could not be removed", "unread": "could not be read"}


@dataclass(frozen=True)
class DifferenceRow:
    """One property of one resource that is not as deployed; a difference without properties is one row."""

    resource: str
    type: str
    status: str
    path: str
    expected: str
    actual: str
    note: str = ""


@dataclass(frozen=True)
class OnAws:
    """What a page says of a stack on AWS."""

    stack: Stack
    icon: str
    rows: list[DifferenceRow]
    more: int

    @property
    def is_checking(self) -> bool:
        """Whether a worker is looking, or about to."""
        return self.stack.drift_state == DriftState.CHECKING

    @property
    def can_repair(self) -> bool:
        """Whether there is something to put back."""
        return self.stack.drift_state in (DriftState.DRIFTED, DriftState.MISSING) and not self.stack.needs_decision


def on_aws(stack: Stack) -> OnAws:
    """How the stack stands, for a page. No query."""
    # What is left has a notice of its own, whether a check has run or not.
    rows = [row for one in stack.drift if one.get("status") != "left" for row in _rows(one)]
    return OnAws(stack, drift_icon(stack.drift_state), rows[:MAX_DIFFERENCES], max(0, len(rows) - MAX_DIFFERENCES))


def drift_icon(state: str) -> str:
    """A sign that goes with the state's words."""
    return _ICONS[DriftState(state)]


def worst_first() -> StackQuerySet:
    """Changed or gone outside Cohort first, then out of step, then those that could not be checked, then the rest; by name."""
    rank = Case(
        When(Q(drift_state__in=(DriftState.DRIFTED, DriftState.MISSING)) | Q(newer_generation__gt=0), then=0),
        When(Q(deployed_generation__lt=F("generation")), then=1),
        When(drift_state=DriftState.FAILED, then=2),
        default=3,
        output_field=IntegerField(),
    )
    return Stack.objects.order_by(rank, "name")


def left_behind() -> StackQuerySet:
    """Out of step, deployed before, and nothing on its way: what “Deploy again what failed” takes up."""
    ran = Deployment.objects.filter(stack=OuterRef("pk"))
    return Stack.objects.out_of_step().filter(Exists(ran), ~Exists(ran.filter(state__in=Deployment.OPEN)))


def _rows(difference: dict[str, object]) -> list[DifferenceRow]:
    properties = difference.get("properties") or [{}]
    if not isinstance(properties, list):
        raise TypeError("A difference's properties are a list.")
    status = str(difference.get("status", ""))
    return [
        DifferenceRow(
            resource=str(difference.get("logical_id") or "") or f"the {difference.get('what')}",
            type=resource_name(str(difference.get("type", ""))),
            status=_STATUS_WORDS.get(status, status),
            path=str(one.get("path", "")),
            expected=str(one.get("expected", "")),
            actual=str(one.get("actual", "")),
            note=str(difference.get("note", "")),
        )
        for one in properties
    ]

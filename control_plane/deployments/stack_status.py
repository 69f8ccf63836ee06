"""Status of stacks, for pages: up to date or not, as deployed or drifted."""

from dataclasses import dataclass

from django.db.models import Case, Exists, F, IntegerField, OuterRef, Q, When

from control_plane.deployments.models import Deployment, DriftState, Stack, StackQuerySet
from control_plane.deployments.progress import resource_name

# Differences that a page shows; the others are only counted.
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
class StackStatus:
    """Status of one stack on AWS, for a page."""

    stack: Stack
    icon: str
    rows: list[DifferenceRow]
    more: int

    @property
    def is_checking(self) -> bool:
        """True while a drift check runs or waits."""
        return self.stack.drift_state == DriftState.CHECKING

    @property
    def can_repair(self) -> bool:
        """True if a repair would put something back."""
        return self.stack.drift_state in (DriftState.DRIFTED, DriftState.MISSING) and not self.stack.needs_decision


def status_of(stack: Stack) -> StackStatus:
    """Return the stack's status, for a page. No query."""
    # Leftovers have a notice of their own, whether a check has run or not.
    rows = [row for difference in stack.drift if difference.get("status") != "left" for row in _rows(difference)]
    return StackStatus(stack, drift_icon(stack.drift_state), rows[:MAX_DIFFERENCES], max(0, len(rows) - MAX_DIFFERENCES))


def drift_icon(state: str) -> str:
    """Return the icon of a drift state."""
    return _ICONS[DriftState(state)]


def worst_first() -> StackQuerySet:
    """Order stacks by urgency: drifted or missing first, then out of step, then unchecked, then the rest; by name within each."""
    rank = Case(
        When(Q(drift_state__in=(DriftState.DRIFTED, DriftState.MISSING)) | Q(newer_generation__gt=0), then=0),
        When(Q(deployed_generation__lt=F("generation")), then=1),
        When(drift_state=DriftState.FAILED, then=2),
        default=3,
        output_field=IntegerField(),
    )
    return Stack.objects.order_by(rank, "name")


def left_behind() -> StackQuerySet:
    """Return the stacks that “Deploy again what failed” deploys: out of step, deployed before, and no deployment open."""
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
            path=str(changed.get("path", "")),
            expected=str(changed.get("expected", "")),
            actual=str(changed.get("actual", "")),
            note=str(difference.get("note", "")),
        )
        for changed in properties
    ]

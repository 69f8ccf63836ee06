"""Progress of a request to join: its steps, the approvers it waits for, and the deployment that gives the access."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from control_plane.access.groups.models import AccessState, JoinRequest, Membership
from control_plane.access.groups.overview import MembershipView
from control_plane.accounts.models import User
from control_plane.deployments.models import Deployment

# A page shows so many requests of a person, and so many managers' names for each.
MAX_REQUESTS_SHOWN, MAX_MANAGERS_NAMED = 10, 5
# How long after a decision its outcome is still shown.
DECLINED_FOR, READY_FOR = timedelta(days=14), timedelta(days=1)
ICONS = {"done": "✓", "now": "⟳", "later": "…", "failed": "✗"}


@dataclass(frozen=True)
class Step:
    """Step of joining: `state` is done, now, later or failed."""

    title: str
    state: str
    detail: str = ""

    @property
    def icon(self) -> str:
        """Symbol of the state, shown beside its word."""
        return ICONS[self.state]


@dataclass(frozen=True)
class JoinProgress:
    """Request to join, the approvers it waits for in words, and the membership that came of it, if any."""

    request: JoinRequest
    waits_for: str
    place: MembershipView | None

    @property
    def deployment(self) -> Deployment | None:
        """Deployment that is giving the access, if one is."""
        return self.place.deployment if self.place and self.place.state == AccessState.ADDING else None

    @property
    def is_ready(self) -> bool:
        """True if the person has access."""
        return self.place is not None and self.place.state == AccessState.ACTIVE

    @property
    def steps(self) -> list[Step]:
        """Steps from the verified address to the access; a declined request has no later ones."""
        if self.request.state == JoinRequest.State.DECLINED:
            return [self._verified(), self._approved()]
        return [self._verified(), self._approved(), self._made(), Step("You are in", "done" if self.is_ready else "later")]

    def _verified(self) -> Step:
        if self.request.state == JoinRequest.State.UNVERIFIED:
            return Step("E-mail address verified", "now", f"Open the link in the e-mail to {self.request.user.email}.")
        return Step("E-mail address verified", "done")

    def _approved(self) -> Step:
        match self.request.state:
            case JoinRequest.State.UNVERIFIED:
                return Step("Approval", "later")
            case JoinRequest.State.WAITING:
                return Step(
                    "Approval", "now", f"Waiting for {self.waits_for}. They were told; an e-mail tells you what they decide."
                )
            case JoinRequest.State.DECLINED:
                return Step("Declined", "failed", self.request.note)
            case _:
                return Step("Approved", "done")

    def _made(self) -> Step:
        title = "Access made on AWS"
        if self.is_ready:
            return Step(title, "done")
        if self.place is None or self.request.is_open:
            return Step(title, "later")
        if self.place.has_failed:
            return Step(title, "failed", "Something went wrong on AWS; the administrators see it. Nothing is left for you to do.")
        if self.place.was_cancelled:
            return Step(title, "failed", "An administrator stopped it for now. Ask one how it goes on.")
        if self.place.awaits_approval:
            return Step(title, "now", "A second administrator looks at it first.")
        doing = self.deployment.doing if self.deployment else ""
        return Step(title, "now", doing or "Waiting for its turn.")


def requests_of(user: User) -> list[JoinRequest]:
    """Return the person's latest requests to join, newest first, in one query.

    To be read before their memberships: a person who is approved between the two is then seen as waiting or as a member, never
    as one without a request, for whom the page would stop refreshing.
    """
    requests = JoinRequest.objects.filter(user=user).exclude(state=JoinRequest.State.WITHDRAWN)
    return list(requests.select_related("group", "user").order_by("-pk")[: 3 * MAX_REQUESTS_SHOWN])


def progress_of(requests: Sequence[JoinRequest], memberships: Sequence[MembershipView]) -> list[JoinProgress]:
    """Return the progress of those of a person's requests that are worth showing, given their memberships. In one query."""
    now = timezone.now()
    by_group = {membership.group.pk: membership for membership in memberships}
    rows = [(request, by_group.get(request.group_id or 0)) for request in requests]
    shown = [(request, place) for request, place in rows if _is_worth_telling(request, place, now - DECLINED_FOR, now - READY_FOR)]
    names = _managers_names(request.group_id for request, _ in shown if request.is_open and request.group_id)
    return [
        JoinProgress(request, names.get(request.group_id or 0, "an administrator"), place)
        for request, place in shown[:MAX_REQUESTS_SHOWN]
    ]


def _is_worth_telling(request: JoinRequest, place: MembershipView | None, declined_since: datetime, ready_since: datetime) -> bool:
    if request.is_open:
        return True
    if request.decided_at is None:
        return False
    if request.state == JoinRequest.State.DECLINED:
        return place is None and request.decided_at > declined_since
    if place is None or place.membership.created_at < request.created_at:
        return False
    return place.state == AccessState.ADDING or (place.state == AccessState.ACTIVE and request.decided_at > ready_since)


def _managers_names(groups: Iterable[int]) -> dict[int, str]:
    """Return the approvers in each of these groups that has a manager, as 'ada, grace or an administrator'. One query."""
    names: dict[int, list[str]] = defaultdict(list)
    rows = Membership.objects.wanted().filter(group__in=list(groups), is_manager=True, user__is_active=True)
    for membership in rows.select_related("user").order_by("pk"):
        names[membership.group_id].append(membership.user.get_short_name())
    return {group: f"{', '.join(of_group[:MAX_MANAGERS_NAMED])} or an administrator" for group, of_group in names.items()}

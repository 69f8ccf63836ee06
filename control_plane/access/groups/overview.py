"""Where people and groups stand, for the pages that show many of them: a fixed number of queries, whatever the number of rows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Max
from django.utils import timezone

from control_plane.access.groups.models import Access, AccessState, Analysis, Grant, Group, Membership, ScopedQuerySet
from control_plane.accounts.models import User
from control_plane.deployments.iam_delay import SETTLES
from control_plane.deployments.models import Deployment, StoredManifest


@dataclass(frozen=True)
class Place:
    """One membership that AWS holds or will hold, and the deployment that is changing it, if one is."""

    membership: Membership
    group: Group
    state: AccessState
    deployment: Deployment | None

    @property
    def has_failed(self) -> bool:
        """Whether the deployment that should have changed it failed, and nothing is on its way to mend that."""
        return self.deployment is not None and self.deployment.state == Deployment.State.FAILED

    @property
    def was_cancelled(self) -> bool:
        """Whether somebody cancelled or refused the deployment that should have changed it."""
        return self.deployment is not None and self.deployment.state == Deployment.State.CANCELLED

    @property
    def awaits_approval(self) -> bool:
        """Whether a second administrator has to look at it first."""
        return self.deployment is not None and self.deployment.state == Deployment.State.APPROVAL

    @property
    def is_suspended(self) -> bool:
        """Whether everything is denied to the member, alone or with the whole group."""
        return self.membership.suspended_at is not None or self.group.suspended_at is not None

    @property
    def denied_at(self) -> datetime | None:
        """When the denial was put on AWS ahead of its deployment; None once that was a while ago, or where none is."""
        stack = self.group.stack
        if not self.is_suspended or stack.denied_at is None or stack.denied_generation != stack.generation:
            return None
        is_new = timezone.now() - stack.denied_at < SETTLES
        return stack.denied_at if is_new or not stack.is_up_to_date else None

    @property
    def is_in_force(self) -> bool:
        """Whether AWS lets the member in now; while it is being taken away it still does, suspended it does not."""
        deployed = self.group.stack.deployed_generation
        return (
            not self.is_suspended
            and not self.has_ended
            and self.state != AccessState.ADDING
            and self.membership.added_generation <= deployed
        )

    @property
    def has_ended(self) -> bool:
        """Whether the membership's time is over, though nobody has taken the access away yet."""
        return self.membership.ends_at is not None and self.membership.ends_at <= timezone.now()

    @property
    def doing(self) -> str:
        """What is under way, in a person's words; empty if nothing is."""
        if self.state == AccessState.ACTIVE:
            return ""
        verb = "Giving access to" if self.state == AccessState.ADDING else "Taking away access to"
        return f"{verb} {self.group.name}"

    @property
    def is_moving(self) -> bool:
        """Whether it becomes something else without anybody's doing."""
        return bool(self.doing) and not (self.has_failed or self.was_cancelled)


@dataclass
class PersonAccess:
    """What one person has, in every group."""

    places: list[Place] = field(default_factory=list)

    @property
    def in_force(self) -> list[Place]:
        """Where AWS lets the person in now: also where that is being taken away and has not ended yet."""
        return [place for place in self.places if place.is_in_force]

    @property
    def suspended(self) -> list[Place]:
        """Where everything is denied to the person for now."""
        return [place for place in self.places if place.is_suspended]

    @property
    def under_way(self) -> list[Place]:
        """What is changing, or should have changed and failed."""
        return [place for place in self.places if place.doing]


def access_of(users: Iterable[User]) -> dict[int, PersonAccess]:
    """The access of each of these people by their primary key, in two queries."""
    found: dict[int, PersonAccess] = defaultdict(PersonAccess)
    for place in places(Membership.objects.filter(user__in=[user.pk for user in users])):
        found[place.membership.user_id].places.append(place)
    return found


def places(memberships: ScopedQuerySet) -> list[Place]:
    """These memberships with their state and what is changing them, in two queries."""
    rows = list(memberships.with_state().not_ended().select_related("group__stack", "user").order_by("group__slug", "user__email"))
    changing = {row.group.stack_id for row in rows if row.state != AccessState.ACTIVE}
    latest = latest_deployments(changing)
    return [
        Place(
            membership=row,
            group=row.group,
            state=AccessState(row.state),
            deployment=latest.get(row.group.stack_id) if row.state != AccessState.ACTIVE else None,
        )
        for row in rows
    ]


def latest_deployments(stack_ids: Iterable[int]) -> dict[int, Deployment]:
    """The newest deployment of each stack, in one query."""
    newest = Deployment.objects.filter(stack__in=list(stack_ids)).values("stack").annotate(newest=Max("pk")).values("newest")
    return {deployment.stack_id: deployment for deployment in Deployment.objects.filter(pk__in=newest)}


def attach_latest(groups: Sequence[Group]) -> None:
    """Give each group `latest_deployment`, in one query for all."""
    latest = latest_deployments(group.stack_id for group in groups)
    for group in groups:
        group.latest_deployment = latest.get(group.stack_id)  # type: ignore[attr-defined]


def attach_usable(mine: Sequence[Place], most: int) -> None:
    """Give each group that lets its member in `usable`, its analyses that are in force, and `more_usable`. One query for all."""
    groups = {place.group.pk: place.group for place in mine if place.state == AccessState.ACTIVE and place.is_in_force}
    found: dict[int, list[Analysis]] = defaultdict(list)
    active = Grant.objects.wanted().with_state().filter(group__in=groups, state=AccessState.ACTIVE, analysis__unmade_reason="")
    for grant in active.select_related("analysis"):
        found[grant.group_id].append(grant.analysis)
    for pk, group in groups.items():
        group.usable, group.more_usable = found[pk][:most], max(0, len(found[pk]) - most)  # type: ignore[attr-defined]


def attach_key_ages(group: Group, shown: Sequence[Place]) -> None:
    """Give each key holder's membership `key_made_at`, when the present key was asked for, in one query for all."""
    holders = [place.membership for place in shown if place.membership.access == Access.KEYS]
    since = {one.pk: one.key_generation or one.added_generation for one in holders}
    manifests = StoredManifest.objects.filter(stack=group.stack_id, generation__in=since.values())
    made = dict(manifests.values_list("generation", "created_at"))
    for one in holders:
        one.key_made_at = made.get(since[one.pk])  # type: ignore[attr-defined]

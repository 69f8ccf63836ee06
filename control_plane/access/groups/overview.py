"""State of memberships and groups, for pages that list many of them: a fixed number of queries for any number of rows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Max
from django.utils import timezone

from control_plane.access.groups.models import Access, AccessState, Analysis, GenerationScopedQuerySet, Grant, Group, Membership
from control_plane.accounts.models import User
from control_plane.deployments.iam_delay import SETTLES
from control_plane.deployments.models import Deployment, StoredManifest


@dataclass(frozen=True)
class MembershipView:
    """Membership that AWS holds or will hold, with its state and the deployment that is changing it, if any."""

    membership: Membership
    group: Group
    state: AccessState
    deployment: Deployment | None

    @property
    def has_failed(self) -> bool:
        """True if the deployment that should have changed it failed, and no other one is under way."""
        return self.deployment is not None and self.deployment.state == Deployment.State.FAILED

    @property
    def was_cancelled(self) -> bool:
        """True if the deployment that should have changed it was cancelled or refused."""
        return self.deployment is not None and self.deployment.state == Deployment.State.CANCELLED

    @property
    def awaits_approval(self) -> bool:
        """True if a second administrator has to approve it first."""
        return self.deployment is not None and self.deployment.state == Deployment.State.APPROVAL

    @property
    def is_suspended(self) -> bool:
        """True if everything is denied to the member, alone or with the whole group."""
        return self.membership.suspended_at is not None or self.group.suspended_at is not None

    @property
    def denied_at(self) -> datetime | None:
        """Time at which the lockout took effect ahead of its deployment; None once that is long ago, or where there is none."""
        stack = self.group.stack
        if not self.is_suspended or stack.denied_at is None or stack.denied_generation != stack.generation:
            return None
        is_new = timezone.now() - stack.denied_at < SETTLES
        return stack.denied_at if is_new or not stack.is_up_to_date else None

    @property
    def is_in_force(self) -> bool:
        """True if AWS gives the member access now: also while it is being removed, but not while suspended."""
        deployed = self.group.stack.deployed_generation
        return (
            not self.is_suspended
            and not self.has_ended
            and self.state != AccessState.ADDING
            and self.membership.added_generation <= deployed
        )

    @property
    def has_ended(self) -> bool:
        """True if the membership's end date has passed, though the access is not removed yet."""
        return self.membership.ends_at is not None and self.membership.ends_at <= timezone.now()

    @property
    def doing(self) -> str:
        """Change under way, in words for people; empty if there is none."""
        if self.state == AccessState.ACTIVE:
            return ""
        verb = "Giving access to" if self.state == AccessState.ADDING else "Taking away access to"
        return f"{verb} {self.group.name}"

    @property
    def is_moving(self) -> bool:
        """True if its state will change without anybody's action."""
        return bool(self.doing) and not (self.has_failed or self.was_cancelled)


@dataclass
class PersonAccess:
    """Access of one person in every group."""

    memberships: list[MembershipView] = field(default_factory=list)

    @property
    def in_force(self) -> list[MembershipView]:
        """Memberships that give access now, also those being removed."""
        return [membership for membership in self.memberships if membership.is_in_force]

    @property
    def suspended(self) -> list[MembershipView]:
        """Memberships in which everything is denied to the person for now."""
        return [membership for membership in self.memberships if membership.is_suspended]

    @property
    def under_way(self) -> list[MembershipView]:
        """Memberships that are changing, or whose change failed."""
        return [membership for membership in self.memberships if membership.doing]


def access_of(users: Iterable[User]) -> dict[int, PersonAccess]:
    """Return the access of each of these people by their primary key, in two queries."""
    access: dict[int, PersonAccess] = defaultdict(PersonAccess)
    for view in membership_views(Membership.objects.filter(user__in=[user.pk for user in users])):
        access[view.membership.user_id].memberships.append(view)
    return access


def membership_views(memberships: GenerationScopedQuerySet) -> list[MembershipView]:
    """Return these memberships with their state and the deployments that change them, in two queries."""
    rows = list(memberships.with_state().not_ended().select_related("group__stack", "user").order_by("group__slug", "user__email"))
    changing = {row.group.stack_id for row in rows if row.state != AccessState.ACTIVE}
    latest = latest_deployments(changing)
    return [
        MembershipView(
            membership=row,
            group=row.group,
            state=AccessState(row.state),
            deployment=latest.get(row.group.stack_id) if row.state != AccessState.ACTIVE else None,
        )
        for row in rows
    ]


def latest_deployments(stack_ids: Iterable[int]) -> dict[int, Deployment]:
    """Return the newest deployment of each stack by the stack's primary key, in one query."""
    newest = Deployment.objects.filter(stack__in=list(stack_ids)).values("stack").annotate(newest=Max("pk")).values("newest")
    return {deployment.stack_id: deployment for deployment in Deployment.objects.filter(pk__in=newest)}


def attach_latest(groups: Sequence[Group]) -> None:
    """Set `latest_deployment` on each group, in one query for all."""
    latest = latest_deployments(group.stack_id for group in groups)
    for group in groups:
        group.latest_deployment = latest.get(group.stack_id)  # type: ignore[attr-defined]


def attach_usable(memberships: Sequence[MembershipView], limit: int) -> None:
    """Set `usable` on each group with active access: its active analyses, `limit` at most; `more_usable` counts the rest.

    One query for all.
    """
    groups = {view.group.pk: view.group for view in memberships if view.state == AccessState.ACTIVE and view.is_in_force}
    analyses: dict[int, list[Analysis]] = defaultdict(list)
    active = Grant.objects.wanted().with_state().filter(group__in=groups, state=AccessState.ACTIVE, analysis__unmade_reason="")
    for grant in active.select_related("analysis"):
        analyses[grant.group_id].append(grant.analysis)
    for pk, group in groups.items():
        group.usable, group.more_usable = analyses[pk][:limit], max(0, len(analyses[pk]) - limit)  # type: ignore[attr-defined]


def attach_key_ages(group: Group, shown: Sequence[MembershipView]) -> None:
    """Set `key_made_at` on each key holder's membership: when the present key was requested. One query for all."""
    holders = [view.membership for view in shown if view.membership.access == Access.KEYS]
    since = {holder.pk: holder.key_generation or holder.added_generation for holder in holders}
    manifests = StoredManifest.objects.filter(stack=group.stack_id, generation__in=since.values())
    made = dict(manifests.values_list("generation", "created_at"))
    for holder in holders:
        holder.key_made_at = made.get(since[holder.pk])  # type: ignore[attr-defined]

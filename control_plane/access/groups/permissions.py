"""Permissions in groups: managers and administrators. Services call these; no view decides by itself."""

from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from control_plane.access.groups.errors import NotMember, Suspended
from control_plane.access.groups.models import Access, Group, JoinRequest, Membership
from control_plane.accounts.models import User
from control_plane.accounts.permissions import is_administrator
from control_plane.base.audit.actors import Actor


def _managing() -> QuerySet[Membership]:
    """Return the memberships of managers whose time is not over, and who are not suspended."""
    memberships = Membership.objects.wanted().filter(is_manager=True, suspended_at__isnull=True)
    return memberships.exclude(ends_at__lte=timezone.now())


def manages(user: User | None, group: Group) -> bool:
    """Return whether this person manages the group: active, not suspended, and not being removed."""
    return user is not None and user.is_active and managers(group).filter(user=user).exists()


def manages_any(user: User) -> bool:
    """Return whether this person manages any group. One query."""
    return user.is_active and _managing().filter(user=user).exists()


def context(request: HttpRequest) -> dict[str, Callable[[], bool]]:
    """Add `manages_any` to every template's context: a callable, so that only a page whose navigation asks runs the query."""
    user = getattr(request, "user", None)
    return {"manages_any": lambda: isinstance(user, User) and manages_any(user)}


def managed_groups(user: User) -> QuerySet[Group]:
    """Return the groups that this person manages."""
    memberships = _managing().filter(user=user)
    return Group.objects.filter(pk__in=memberships.values("group")) if user.is_active else Group.objects.none()


def managers(group: Group) -> QuerySet[Membership]:
    """Return the memberships of the group's managers who can act."""
    return _managing().filter(group=group, user__is_active=True)


def may_decide(actor: Actor, group: Group) -> bool:
    """Return whether the actor may decide who is in the group."""
    return actor.is_operator or is_administrator(actor.user) or manages(actor.user, group)


def require_manager(actor: Actor, group: Group) -> None:
    """Raise PermissionDenied unless the actor manages the group, is an administrator or works at this machine's terminal."""
    if not may_decide(actor, group):
        raise PermissionDenied(
            "Only the group's managers and administrators may do this. Nothing was changed; ask one of them to do it for you."
        )


def refuse_suspended(membership: Membership) -> None:
    """Raise Suspended if the member or the group is suspended, whatever AWS holds by now."""
    since = membership.group.suspended_at or membership.suspended_at
    if since is None:
        return
    whose = f"The group {membership.group.name}" if membership.group.suspended_at else f"{membership.user.email}’s access"
    where = "" if membership.group.suspended_at else f" to {membership.group.name}"
    by = "an administrator" if membership.group.suspended_at else "one of the group’s managers or an administrator"
    raise Suspended(
        f"{whose}{where} is suspended since {timezone.localtime(since):%-d %B %Y}. No credentials were handed out and nothing was "
        f"changed; the data stays as it is. Ask {by}."
    )


def refuse_ended(membership: Membership) -> None:
    """Raise NotMember once the membership's time is over: the sweep that removes the access may be late, or not run."""
    if membership.ends_at is None or membership.ends_at > timezone.now():
        return
    ended = timezone.localtime(membership.ends_at)
    raise NotMember(
        f"The time of {membership.user.email} in {membership.group.name} ended on {ended:%-d %B %Y}. No"
        " credentials were handed out and nothing was changed. Ask one of the group’s managers to add the person again."
    )


def require_may_give(actor: Actor, group: Group, access: Access) -> None:
    """Raise PermissionDenied if a manager gives a key where the group allows none; administrators always may."""
    if access == Access.KEYS and not (group.allows_keys or actor.is_operator or is_administrator(actor.user)):
        raise PermissionDenied(
            f"{group.name} does not allow access keys. Nothing was changed; give short-lived credentials, or ask an administrator."
        )


def decidable_requests(user: User) -> QuerySet[JoinRequest]:
    """Return the requests that this person may decide or look back at: their groups', or, for administrators, all."""
    if is_administrator(user):
        return JoinRequest.objects.all()
    managed = _managing().filter(user=user)
    return JoinRequest.objects.filter(group__in=managed.values("group")) if user.is_active else JoinRequest.objects.none()

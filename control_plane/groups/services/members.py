"""Adding people to groups and removing them."""

from collections.abc import Iterable, Sequence

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.permissions import require_administrator
from control_plane.audit.actors import Actor
from control_plane.audit.models import record
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import lock
from control_plane.groups.errors import AlreadyMember, GroupsError, Inactive, InvalidName, NotFound, NotMember
from control_plane.groups.models import Access, Group, Membership
from control_plane.groups.services.groups import create_group, request_group_deployment


def add_members(*, group: Group, users: Sequence[User], access: Access, actor: Actor) -> Deployment:
    """Give people access to a group: all of them in one deployment, or, if one cannot be added, none.

    Raises AlreadyMember or Inactive naming everyone who is in the way, LimitReached, or PermissionDenied.
    """
    require_administrator(actor)
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        _refuse(Inactive, [user for user in users if not user.is_active], "{who} {is_} not active. Activate the account first.")
        _refuse(
            AlreadyMember,
            User.objects.filter(memberships__in=_wanted(group, users)).order_by("email"),
            f"{{who}} {{is_}} already in {group.name}. Leave them out.",
        )
        for user in users:
            Membership.objects.create(group=group, user=user, access=access, added_generation=group.stack.generation + 1)
        deployment = request_group_deployment(group, f"Giving {_people(users)} access to {group.name}", actor)
        for user in users:
            record(actor, "member.add", f"{user.email} in {group.slug}", after={"access": access.value}, deployment=deployment.pk)
    return deployment


def add_member(*, group: Group, user: User, access: Access, actor: Actor) -> Deployment:
    """Give one person access; see `add_members`."""
    return add_members(group=group, users=[user], access=access, actor=actor)


def add_to_new_group(*, slug: str, name: str = "", users: Sequence[User], access: Access, actor: Actor) -> tuple[Group, Deployment]:
    """Make a group with these people in it, in one deployment, or do nothing. See `create_group` and `add_members`."""
    with transaction.atomic():
        group, _ = create_group(slug=slug, name=name, actor=actor)
        return group, add_members(group=group, users=users, access=access, actor=actor)


def add_new_or_known(*, group: Group, email: str, access: Access, actor: Actor) -> tuple[User, Deployment]:
    """Give whoever has this address access, making the person first if need be; or do neither. See `add_members`."""
    with transaction.atomic():
        user = find_or_create_user(email, actor=actor)
        return user, add_member(group=group, user=user, access=access, actor=actor)


def remove_members(*, group: Group, users: Sequence[User], actor: Actor) -> Deployment:
    """Take people's access to a group away: all of them in one deployment, or, if one is not a member, none.

    Their memberships end when AWS has let go, not before. Raises NotMember naming everyone who is not in, or PermissionDenied.
    """
    require_administrator(actor)
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        leaving = list(_wanted(group, users).select_related("user"))
        inside = {membership.user_id for membership in leaving}
        _refuse(
            NotMember, [user for user in users if user.pk not in inside], f"{{who}} {{is_}} not in {group.name}. Leave them out."
        )
        Membership.objects.filter(pk__in=[membership.pk for membership in leaving]).update(
            removed_generation=group.stack.generation + 1, removed_at=timezone.now()
        )
        deployment = request_group_deployment(group, f"Taking {_possessive(users)} access to {group.name} away", actor)
        for membership in leaving:
            record(
                actor,
                "member.remove",
                f"{membership.user.email} in {group.slug}",
                before={"access": membership.access, "username": membership.username},
                deployment=deployment.pk,
            )
    return deployment


def remove_member(*, group: Group, user: User, actor: Actor) -> Deployment:
    """Take one person's access away; see `remove_members`."""
    return remove_members(group=group, users=[user], actor=actor)


def find_user(email: str) -> User:
    """The person with this address. Raises NotFound."""
    try:
        return User.objects.get(email=email.strip().lower())
    except User.DoesNotExist as error:
        raise NotFound(
            f"Nobody is known as {email!r}. Nothing was changed; check the address, or add the person first (--create)."
        ) from error


def find_or_create_user(email: str, *, actor: Actor) -> User:
    """The person with this address, made if need be; without a password they cannot sign in. Raises InvalidName."""
    require_administrator(actor)
    if user := User.objects.filter(email=email.strip().lower()).first():
        return user
    try:
        with transaction.atomic():
            user = User.objects.create_user(email)
            record(actor, "person.create", user.email)
    except ValidationError as error:
        raise InvalidName(f"{' '.join(error.messages)} Nothing was changed.") from error
    return user


def _wanted(group: Group, users: Iterable[User]) -> QuerySet[Membership]:
    return Membership.objects.wanted().filter(group=group, user__in=[user.pk for user in users])


def _refuse(error: type[GroupsError], users: Iterable[User], sentence: str) -> None:
    addresses = [user.email for user in users]
    if addresses:
        who = ", ".join(addresses)
        raise error(f"{sentence.format(who=who, is_='is' if len(addresses) == 1 else 'are')} Nothing was changed.")


def _people(users: Sequence[User]) -> str:
    return users[0].email if len(users) == 1 else f"{len(users)} people"


def _possessive(users: Sequence[User]) -> str:
    return f"{users[0].email}’s" if len(users) == 1 else f"{len(users)} people’s"

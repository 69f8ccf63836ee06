"""Members of groups: adding and removing them, and making them managers."""

from collections.abc import Iterable, Sequence

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from control_plane.access.groups.announcements import announce_request
from control_plane.access.groups.errors import AlreadyMember, Inactive, LastManager, NotMember
from control_plane.access.groups.lifecycle import refuse_retiring
from control_plane.access.groups.models import Access, Group, JoinRequest, Membership
from control_plane.access.groups.permissions import managers, require_manager
from control_plane.access.groups.services.groups import create_group, request_group_deployment
from control_plane.accounts.models import User
from control_plane.accounts.permissions import is_administrator, require_administrator
from control_plane.accounts.services.addresses import discard_unverified_logins
from control_plane.accounts.validation import fold_name
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import InvalidName, NotFound, Refused
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import lock
from control_plane.notifications.models import Notice


def add_members(*, group: Group, users: Sequence[User], access: Access, actor: Actor, as_managers: bool = False) -> Deployment:
    """Give people access to a group: all of them in one deployment, or, if one cannot be added, none.

    Their own open requests for it count as approved. Raises AlreadyMember or Inactive naming everybody concerned, LimitReached,
    or PermissionDenied.
    """
    require_administrator(actor)
    return admit(group=group, users=users, access=access, actor=actor, as_managers=as_managers)


def admit(*, group: Group, users: Sequence[User], access: Access, actor: Actor, as_managers: bool = False) -> Deployment:
    """Add members as `add_members` does, for a caller that has checked that the actor may."""
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        refuse_retiring(group)
        _refuse(Inactive, [user for user in users if not user.is_active], "{who} {is_} not active. Activate the account first.")
        _refuse(
            AlreadyMember,
            User.objects.filter(memberships__in=_wanted(group, users)).order_by("email"),
            f"{{who}} {{is_}} already in {group.name}. Leave them out.",
        )
        discard_unverified_logins(users, actor=actor)
        for user in users:
            Membership.objects.create(
                group=group,
                user=user,
                access=access,
                is_manager=as_managers,
                added_generation=group.stack.generation + 1,
                added_by=actor.label,
            )
        deployment = request_group_deployment(group, f"Giving {people_in_words(users)} access to {group.name}", actor)
        for user in users:
            after = {"access": access.value, "is_manager": as_managers}
            record(actor, "member.add", f"{user.email} in {group.slug}", after=after, deployment=deployment.pk)
        _approve_requests(group, users, actor, deployment)
    return deployment


def add_member(*, group: Group, user: User, access: Access, actor: Actor, as_manager: bool = False) -> Deployment:
    """Give one person access; see `add_members`."""
    return add_members(group=group, users=[user], access=access, actor=actor, as_managers=as_manager)


def add_to_new_group(
    *, slug: str, name: str = "", users: Sequence[User], access: Access, actor: Actor, as_managers: bool = False
) -> tuple[Group, Deployment]:
    """Make a group with these people in it, in one deployment, or do nothing. See `create_group` and `add_members`."""
    with transaction.atomic():
        group, _ = create_group(slug=slug, name=name, actor=actor)
        return group, add_members(group=group, users=users, access=access, actor=actor, as_managers=as_managers)


def add_by_email(*, group: Group, email: str, access: Access, actor: Actor, as_manager: bool = False) -> tuple[User, Deployment]:
    """Give the person with this address access, making their account if there is none; or do neither. See `add_members`."""
    with transaction.atomic():
        user = find_or_create_user(email, actor=actor)
        return user, add_member(group=group, user=user, access=access, actor=actor, as_manager=as_manager)


def remove_members(*, group: Group, users: Sequence[User], actor: Actor) -> Deployment:
    """Remove people's access to a group: all of them in one deployment, or, if one is not a member, none.

    Their memberships end when AWS has removed the access, not before. Managers may do it in their own group, but not remove its
    last manager. Raises NotMember naming everybody who is not a member, LastManager, or PermissionDenied.
    """
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        require_manager(actor, group)
        _keep_a_manager(group, users, actor)
        return end_memberships(group, users, actor)


def leave(*, group: Group, user: User, actor: Actor) -> Deployment:
    """End one's own membership. The last manager may leave too: administrators decide about the group from then on.

    Raises NotMember or PermissionDenied.
    """
    _require_self(actor, user)
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        return end_memberships(group, [user], actor)


def leave_all(*, user: User, actor: Actor) -> list[Deployment]:
    """End all of one's own memberships and requests, in one transaction. Returns the deployments that remove the access."""
    _require_self(actor, user)
    with transaction.atomic():
        requests = JoinRequest.objects.filter(user=user, state__in=JoinRequest.OPEN)
        withdrawn = list(requests.values_list("pk", flat=True))
        if requests.update(state=JoinRequest.State.WITHDRAWN, decided_at=timezone.now(), decided_by=actor.label):
            record(actor, "join.withdraw", user.email, requests=withdrawn)
        mine = Membership.objects.wanted().filter(user=user).select_related("group").order_by("group__stack")
        return [leave(group=membership.group, user=user, actor=actor) for membership in mine]


def end_memberships(group: Group, users: Sequence[User], actor: Actor) -> Deployment:
    """End these people's memberships of a group whose stack is locked, for a caller that has checked that the actor may.

    Raises NotMember.
    """
    leaving = list(_wanted(group, users).select_related("user"))
    inside = {membership.user_id for membership in leaving}
    outside = [user for user in users if user.pk not in inside]
    _refuse(NotMember, outside, f"{{who}} {{is_}} not in {group.name}. Leave them out.")
    Membership.objects.filter(pk__in=[membership.pk for membership in leaving]).update(
        removed_generation=group.stack.generation + 1, removed_at=timezone.now()
    )
    deployment = request_group_deployment(group, f"Taking {_possessive(users)} access to {group.name} away", actor)
    for membership in leaving:
        record(
            actor,
            "member.remove",
            f"{membership.user.email} in {group.slug}",
            before={"access": membership.access, "username": membership.username, "is_manager": membership.is_manager},
            deployment=deployment.pk,
        )
    return deployment


def set_manager(*, group: Group, user: User, is_manager: bool, actor: Actor) -> Membership:
    """Make a member a manager of the group, or a manager a plain member. Nothing changes on AWS.

    Raises NotMember, LastManager or PermissionDenied.
    """
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        require_manager(actor, group)
        membership = _wanted(group, [user]).first()
        if membership is None:
            raise NotMember(f"{user.email} is not in {group.name}. Nothing was changed; add them first.")
        if membership.is_manager == is_manager:
            return membership
        if not is_manager:
            _keep_a_manager(group, [user], actor)
        membership.is_manager = is_manager
        membership.save(update_fields=["is_manager"])
        before, after = {"is_manager": not is_manager}, {"is_manager": is_manager}
        record(actor, "member.manager", f"{user.email} in {group.slug}", before=before, after=after)
    return membership


def remove_member(*, group: Group, user: User, actor: Actor) -> Deployment:
    """Remove one person's access; see `remove_members`."""
    return remove_members(group=group, users=[user], actor=actor)


def find_user(email: str) -> User:
    """Return the person with this address. Raises NotFound."""
    try:
        return User.objects.get(email=email.strip().lower())
    except User.DoesNotExist as error:
        raise NotFound(
            f"Nobody is known as {email!r}. Nothing was changed; check the address, or add the person first (--create)."
        ) from error


def find_or_create_user(email: str, *, actor: Actor) -> User:
    """Return the person with this address, made if need be, without a password: they cannot sign in yet. Raises InvalidName."""
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


def _keep_a_manager(group: Group, users: Sequence[User], actor: Actor) -> None:
    """Raise LastManager if a manager would leave the group without one; administrators may."""
    if actor.is_operator or is_administrator(actor.user):
        return
    going = {user.pk for user in users}
    present = set(managers(group).values_list("user", flat=True))
    if present & going and not present - going:
        raise LastManager(
            f"{group.name} would have no manager. Nothing was changed; make somebody else a manager first, or ask an administrator."
        )


def _approve_requests(group: Group, users: Sequence[User], actor: Actor, deployment: Deployment) -> None:
    """Mark these people's open requests for the group as approved by this deployment."""
    requests = JoinRequest.objects.filter(user__in=[user.pk for user in users], state__in=JoinRequest.OPEN)
    for request in requests.filter(Q(group=group) | Q(group=None)).select_related("user"):
        if request.group_id is None and fold_name(request.requested_name) != group.folded_name:
            continue
        request.state, request.group, request.deployment = JoinRequest.State.APPROVED, group, deployment
        request.decided_at, request.decided_by = timezone.now(), actor.label
        request.save(update_fields=["state", "group", "deployment", "decided_at", "decided_by"])
        announce_request(request, Notice.Event.JOIN_APPROVED, [request.user.email])


def _require_self(actor: Actor, user: User) -> None:
    if not (actor.is_operator or (actor.user is not None and actor.user.pk == user.pk)):
        raise PermissionDenied("Only the member may leave for themself. Nothing was changed.")


def _wanted(group: Group, users: Iterable[User]) -> QuerySet[Membership]:
    return Membership.objects.wanted().filter(group=group, user__in=[user.pk for user in users])


def _refuse(error: type[Refused], users: Iterable[User], sentence: str) -> None:
    addresses = [user.email for user in users]
    if addresses:
        who = ", ".join(addresses)
        raise error(f"{sentence.format(who=who, is_='is' if len(addresses) == 1 else 'are')} Nothing was changed.")


def people_in_words(users: Sequence[User]) -> str:
    """Return the people as the subject of a sentence: the address of a single one, or their number."""
    return users[0].email if len(users) == 1 else f"{len(users)} people"


def _possessive(users: Sequence[User]) -> str:
    return f"{users[0].email}’s" if len(users) == 1 else f"{len(users)} people’s"

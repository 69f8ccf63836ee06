"""Groups: making, finding and deploying them, and checks of their names."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model, Q

from control_plane.access.groups.confusables import look_alike_of
from control_plane.access.groups.errors import NameTaken
from control_plane.access.groups.lifecycle import refuse_retiring
from control_plane.access.groups.models import Group
from control_plane.access.groups.services.manifests import group_manifest, previous_manifest
from control_plane.access.groups.signals import manifest_proposed
from control_plane.accounts.permissions import require_administrator
from control_plane.accounts.validation import fold_name, tidy_name
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.aws import Place
from control_plane.base.errors import InvalidName, NotFound
from control_plane.deployments.lockout_requests import adds_denials
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.requests import request_deployment
from control_plane.deployments.tasks import deny_now
from stacks import names
from stacks.manifest import GroupManifest


def create_group(*, slug: str, name: str = "", actor: Actor) -> tuple[Group, Deployment]:
    """Make a group, and have AWS make its stack. Raises InvalidName, NameTaken, LimitReached or PermissionDenied."""
    require_administrator(actor)
    slug, name = slug.strip(), tidy_name(name) or slug.strip()
    place = Place.of_site()
    group = Group(slug=slug, name=name, folded_name=fold_name(name))
    check_fields(group, exclude=["stack", "folded_name"])
    with transaction.atomic(), name_taken_on_conflict(f"The slug {slug!r} or the name {name!r}"):
        check_free(slug, name)
        group.stack = Stack.objects.create(
            name=names.group_stack(slug),
            kind=Stack.Kind.GROUP,
            title=name,
            account=place.account,
            region=place.region,
        )
        group.save()
        deployment = request_group_deployment(group, f"Making the group {name}", actor)
        record(actor, "group.create", f"group {slug}", after={"slug": slug, "name": name}, deployment=deployment.pk)
    return group, deployment


def set_allows_keys(*, group: Group, allows: bool, actor: Actor) -> Group:
    """Allow or forbid the group's managers to give members an access key. Existing keys stay.

    Raises PermissionDenied.
    """
    require_administrator(actor)
    with transaction.atomic():
        group = Group.objects.select_for_update().get(pk=group.pk)
        if group.allows_keys != allows:
            group.allows_keys = allows
            group.save(update_fields=["allows_keys"])
            before, after = {"allows_keys": not allows}, {"allows_keys": allows}
            record(actor, "group.keys", f"group {group.slug}", before=before, after=after)
    return group


def request_group_deployment(group: Group, summary: str, actor: Actor) -> Deployment:
    """Request a deployment of the group's present rows; its stack must be locked. See `request_deployment`.

    Raises LimitReached, or BeingRetired where the stack is retired.
    """
    if group.stack.is_retired:
        refuse_retiring(group)

    def make_manifest(generation: int) -> GroupManifest:
        manifest = group_manifest(group, generation)
        before = previous_manifest(group.stack, generation)
        manifest_proposed.send(sender=Group, stack=group.stack, before=before, after=manifest)
        if adds_denials(before, manifest):
            # Part of the transaction: a worker sees it once the change is there.
            deny_now.enqueue(group.stack.pk)
        return manifest

    return request_deployment(group.stack, make_manifest=make_manifest, summary=summary, actor=actor)


def find_group(slug: str) -> Group:
    """Return the group with this slug. Raises NotFound."""
    try:
        return Group.objects.select_related("stack").get(slug=slug.strip())
    except Group.DoesNotExist as error:
        raise NotFound(f"There is no group {slug!r}. Nothing was changed; `manage.py group list` shows those there are.") from error


@contextmanager
def name_taken_on_conflict(what: str) -> Iterator[None]:
    """Raise NameTaken for an IntegrityError: the name was taken between the check and the write."""
    try:
        yield
    except IntegrityError as error:
        raise NameTaken(f"{what} was taken a moment ago. Nothing was changed; choose another.") from error


def check_fields(row: Model, *, exclude: list[str]) -> None:
    """Validate a row's fields alone, without a query. Raises InvalidName with all the messages."""
    try:
        row.clean_fields(exclude=exclude)
    except ValidationError as error:
        raise InvalidName(f"{' '.join(error.messages)} Nothing was changed.") from error


def check_free(slug: str, name: str) -> None:
    """Raise NameTaken if a group has the slug or the name, or a name that looks like it."""
    retired = Group.objects.filter(Q(slug=slug) | Q(folded_name=fold_name(name)), retired_at__isnull=False).first()
    if retired is not None and retired.retired_at is not None:
        what = f"slug {slug!r} belongs" if retired.slug == slug else f"name {name!r} belongs"
        raise NameTaken(
            f"The {what} to a group that was retired on {retired.retired_at:%d %B %Y} ({retired.slug!r}). Its record, and maybe "
            "its data, are still under it, so it is not given again. Nothing was changed; choose another."
        )
    if Group.objects.filter(slug=slug).exists() or Stack.objects.filter(name=names.group_stack(slug)).exists():
        raise NameTaken(f"There is a group {slug!r} already. Nothing was changed; choose another slug, or add people to that one.")
    if other := Group.objects.filter(folded_name=fold_name(name)).first():
        raise NameTaken(f"The group {other.slug!r} is called {other.name!r} already. Nothing was changed; choose another name.")
    if looks_like := look_alike_of(name, Group.objects.all()):
        raise NameTaken(
            f"The name {name!r} looks like {looks_like.name!r}, the name of the group {looks_like.slug!r}. Nothing was changed; "
            "choose another name."
        )

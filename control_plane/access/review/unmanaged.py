"""What AWS holds under our names and the database does not know: found, read and kept, until somebody decides.

A database that was restored knows nothing of groups and analyses that were made after the backup, while their stacks and keys live
on. The same goes for a principal or secret that a stack left behind. For workers and the terminal; it changes nothing on AWS.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.review.deployed_manifest import read_held
from control_plane.access.review.effective_access import Reach
from control_plane.access.review.iam_snapshot import Holding, Principal, read
from control_plane.access.review.models import UnmanagedResource
from control_plane.base import aws
from control_plane.base.aws import AwsFailure, Place
from control_plane.deployments import cloudformation
from control_plane.deployments.iam_delay import is_settling
from control_plane.deployments.models import Deployment, Stack
from stacks.manifest import StoreUnavailable, names

Kind = UnmanagedResource.Kind
ROOT_PATH = f"/{names.PROJECT}/"
REMOVED = "DELETE_COMPLETE"
# More than this is kept of nothing: a list that long is no list of things to decide about one by one.
MAX_KEPT = 1000
# Of which one scan reads what they can reach; each IAM user in them takes some six requests. The next scan goes on.
MAX_READ = 20
# Rows whose content waits to be read, or was read longest ago, come first.
_OLDEST_READ_FIRST = F("read_at").asc(nulls_first=True)


@dataclass(frozen=True, order=True)
class Sighting:
    """One thing that AWS holds under our names."""

    kind: str
    name: str
    region: str = ""
    path: str = field(default="", compare=False)
    slug: str = field(default="", compare=False)
    made_at: datetime | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by."""
        return self.kind, self.name, self.region


def scan() -> int:
    """Ask AWS, and keep what the database does not know. Returns how many things wait for a decision. Raises AwsFailure."""
    seen = sorted(_sightings())
    with transaction.atomic():
        _keep(list(_unknown(seen)))
    held: dict[tuple[str, Place], Holding] = {}
    for row in UnmanagedResource.objects.filter(state=UnmanagedResource.State.WAITING).order_by(_OLDEST_READ_FIRST, "pk")[
        :MAX_READ
    ]:
        _read(row, held)
    return UnmanagedResource.objects.count()


def is_unknown(row: UnmanagedResource) -> bool:
    """Whether the database does not know it now."""
    return bool(list(_unknown([Sighting(row.kind, row.name, row.region, row.path, row.slug)])))


def _sightings() -> Iterator[Sighting]:
    """All that AWS holds under our names."""
    places = {Place.of_site(), *(Place(*each) for each in Stack.objects.values_list("account", "region").distinct())}
    with aws.translated_errors():
        for place in sorted(places):
            yield from _stacks(place)
            yield from _secrets(place)
        yield from _principals()


def _stacks(place: Place) -> Iterator[Sighting]:
    for page in cloudformation.client(place).get_paginator("list_stacks").paginate():
        for one in page["StackSummaries"]:
            name = one["StackName"]
            # A nested stack's name begins as its parent's, whose part it is.
            if one["StackStatus"] != REMOVED and not one.get("ParentId") and (slug := _slug_of_stack(name)) is not None:
                yield Sighting(Kind.STACK, name, place.region, slug=slug, made_at=one["CreationTime"])


def _secrets(place: Place) -> Iterator[Sighting]:
    prefix = f"{names.PROJECT}/"
    client = aws.client("secretsmanager", place, config=aws.ADAPTIVE_RETRIES)
    for page in client.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [prefix]}]):
        for one in page["SecretList"]:
            if one["Name"].startswith(prefix):
                slug = one["Name"].removeprefix(prefix).partition("/")[0]
                yield Sighting(Kind.SECRET, one["Name"], place.region, slug=slug[:64], made_at=one.get("CreatedDate"))


def _principals() -> Iterator[Sighting]:
    iam = aws.iam(Place.of_site())
    for users in iam.get_paginator("list_users").paginate(PathPrefix=ROOT_PATH):
        yield from (_principal(Kind.USER, one["UserName"], one) for one in users["Users"])
    for roles in iam.get_paginator("list_roles").paginate(PathPrefix=ROOT_PATH):
        yield from (_principal(Kind.ROLE, one["RoleName"], one) for one in roles["Roles"])
    for groups in iam.get_paginator("list_groups").paginate(PathPrefix=ROOT_PATH):
        yield from (_principal(Kind.IAM_GROUP, one["GroupName"], one) for one in groups["Groups"])


def _principal(kind: str, name: str, told: Any) -> Sighting:
    path = told["Path"]
    slug = path.removeprefix(ROOT_PATH).partition("/")[0]
    return Sighting(kind, name, path=path, slug=slug[:64], made_at=told.get("CreateDate"))


def _slug_of_stack(name: str) -> str | None:
    """The slug in a group's stack's name, nothing for a storage stack; None for a name that no stack of ours has."""
    try:
        if name.startswith(names.group_stack("")):
            return names.check_known_slug(name.removeprefix(names.group_stack("")))
        return "" if name.startswith(names.PLATFORM_STACK) and names.storage_number(name) else None
    except ValueError:
        return None


def _unknown(seen: Iterable[Sighting]) -> Iterator[Sighting]:
    """Those that the database does not know. What belongs to a stack that it does not know is told with that."""
    # A group's stack that was changed after the backup holds people whom the database does not know.
    stacks = set(Stack.objects.exclude(kind=Stack.Kind.GROUP, newer_generation__gt=0).values_list("name", flat=True))
    groups = {group.slug: group for group in Group.objects.filter(retired_at=None).select_related("stack")}
    seen = list(seen)
    unknown = {one.slug for one in seen if one.kind == Kind.STACK and one.name not in stacks and one.slug}
    holders = _known_holders()
    unsettled: dict[str, bool] = {}
    for one in seen:
        if one.kind == Kind.STACK:
            if one.name not in stacks:
                yield one
            continue
        if one.slug in unknown and _is_made_by_stacks(one):
            continue
        if (group := groups.get(one.slug)) is not None:
            if _is_of_group(one, holders):
                continue
            # What comes and goes with a deployment, or with a decision about the whole stack, is no stray.
            if one.slug not in unsettled:
                unsettled[one.slug] = _is_unsettled(group)
            if unsettled[one.slug]:
                continue
        yield one


def _is_made_by_stacks(one: Sighting) -> bool:
    """Whether it has a name that a group's stack gives: whether the stack made it shows once the stack is taken over or gone."""
    own: dict[str, bool] = {
        Kind.ROLE: one.name == names.role(one.slug),
        Kind.IAM_GROUP: one.name == names.iam_group(one.slug),
        Kind.USER: one.name.startswith(names.user(one.slug, "")),
        Kind.SECRET: one.name.startswith(names.secret(one.slug, "")),
    }
    return own[one.kind]


def _known_holders() -> set[str]:
    """The names of the users and secrets of all members who hold keys, or whose key is yet to go."""
    rows = Membership.objects.not_ended().filter(access=Access.KEYS).values_list("group__slug", "username")
    return {name for slug, username in rows for name in (names.user(slug, username), names.secret(slug, username))}


def _is_of_group(one: Sighting, holders: set[str]) -> bool:
    if one.kind == Kind.ROLE:
        return one.name == names.role(one.slug)
    if one.kind == Kind.IAM_GROUP:
        return one.name == names.iam_group(one.slug)
    return one.name in holders


def _is_unsettled(group: Group) -> bool:
    stack = group.stack
    is_open = Deployment.objects.open().filter(stack=stack).exists()
    return stack.needs_decision or not stack.is_up_to_date or is_open or is_settling(stack.pk)


def _keep(unknown: list[Sighting]) -> None:
    there = {(row.kind, row.name, row.region): row for row in UnmanagedResource.objects.all()}
    wanted = {one.key: one for one in unknown[:MAX_KEPT]}
    UnmanagedResource.objects.filter(pk__in=[row.pk for key, row in there.items() if key not in wanted]).delete()
    UnmanagedResource.objects.bulk_create(
        UnmanagedResource(kind=one.kind, name=one.name, region=one.region, path=one.path, slug=one.slug, made_at=one.made_at)
        for key, one in wanted.items()
        if key not in there
    )


def _read(row: UnmanagedResource, held: dict[tuple[str, Place], Holding]) -> None:
    """Read what it is and what it can reach. What came in the way is on the row."""
    now = timezone.now()
    try:
        if row.kind == Kind.STACK:
            found = read_held(row.name, row.place)
            row.generation, row.status, row.problem = found.generation, found.status, found.problem
            row.manifest = found.manifest.to_json() if found.manifest else ""
            row.names_everybody = found.is_published
        else:
            row.problem = ""
        if row.slug and row.kind != Kind.SECRET:
            key = (row.slug, row.place)
            if key not in held:
                held[key] = _holding(*key)
            row.reach, row.users = _told(row, held[key])
    except (AwsFailure, StoreUnavailable) as error:
        row.problem = f"It could not be read: {error}"[:500]
    row.read_at = now
    fields = ("generation", "status", "problem", "manifest", "names_everybody", "reach", "users", "read_at")
    UnmanagedResource.objects.filter(pk=row.pk).update(**{name: getattr(row, name) for name in fields})


def _holding(slug: str, place: Place) -> Holding:
    """What IAM holds under a slug, whether there is such a group or not. Raises AwsFailure."""
    stack = Stack(name=names.group_stack(slug), account=place.account, region=place.region)
    return read(Group(slug=slug, stack=stack), [])


def _told(row: UnmanagedResource, holding: Holding) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """What it can reach, and the users in it."""
    everybody = [*holding.users.values(), *holding.foreign.values()]
    users = {
        Kind.STACK: everybody,
        Kind.USER: [one for one in everybody if one.name == row.name],
        Kind.IAM_GROUP: [one for one in everybody if row.name == names.iam_group(row.slug)],
        Kind.ROLE: [],
    }[Kind(row.kind)]
    role = holding.role if row.kind in (Kind.STACK, Kind.ROLE) and holding.role is not None else None
    carriers = [*users, *([role] if role is not None and (row.kind == Kind.STACK or role.name == row.name) else [])]
    return _in_words(one.reach() for one in carriers), [_user(one) for one in users]


def _user(principal: Principal) -> dict[str, Any]:
    used = max((key.last_used_at for key in principal.keys if key.last_used_at), default=None)
    return {
        "name": principal.name,
        "keys": sum(key.is_active for key in principal.keys),
        "last_used_at": used.isoformat() if used else "",
    }


def _in_words(reaches: Iterable[Reach]) -> list[dict[str, str]]:
    """The buckets that any of them reaches, and what it may do there."""
    found: dict[str, set[str]] = {}
    for reach in reaches:
        if not reach.is_denied:
            for bucket, rights in reach.in_buckets().items():
                found.setdefault(bucket, set()).update(right.value for right in rights)
    order = ("list", "read", "write", "delete")
    return [
        {"bucket": bucket, "rights": ", ".join(right for right in order if right in rights)}
        for bucket, rights in sorted(found.items())
    ]

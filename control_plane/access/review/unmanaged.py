"""Scan for unmanaged resources: what AWS holds under our names and the database does not know, kept until somebody decides.

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
from control_plane.access.review.deployed_manifest import read_deployed_manifest
from control_plane.access.review.effective_access import EffectiveAccess
from control_plane.access.review.iam_snapshot import IamSnapshot, Principal, read_snapshot
from control_plane.access.review.models import UnmanagedResource
from control_plane.base import aws
from control_plane.base.aws import AwsFailure, Place
from control_plane.deployments import cloudformation
from control_plane.deployments.iam_delay import is_settling
from control_plane.deployments.models import Deployment, Stack
from stacks import names
from stacks.store import StoreUnavailable

Kind = UnmanagedResource.Kind
ROOT_PATH = f"/{names.PROJECT}/"
REMOVED = "DELETE_COMPLETE"
# Rows that are kept at most: nobody decides about more one by one.
MAX_RESOURCES_KEPT = 1000
# Rows whose effective access one scan reads; each IAM user in them takes some six requests. The next scan goes on.
MAX_RESOURCES_READ_PER_SCAN = 20
# Rows whose content waits to be read, or was read longest ago, come first.
_OLDEST_READ_FIRST = F("read_at").asc(nulls_first=True)


@dataclass(frozen=True, order=True)
class Sighting:
    """A resource that AWS holds under our names."""

    kind: str
    name: str
    region: str = ""
    path: str = field(default="", compare=False)
    slug: str = field(default="", compare=False)
    made_at: datetime | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """The resource's identity: kind, name and region."""
        return self.kind, self.name, self.region


def scan() -> int:
    """Scan AWS, and keep what the database does not know. Returns how many resources wait for a decision. Raises AwsFailure."""
    seen = sorted(_sightings())
    with transaction.atomic():
        _keep(list(_unknown(seen)))
    snapshots: dict[tuple[str, Place], IamSnapshot] = {}
    for row in UnmanagedResource.objects.filter(state=UnmanagedResource.State.WAITING).order_by(_OLDEST_READ_FIRST, "pk")[
        :MAX_RESOURCES_READ_PER_SCAN
    ]:
        _read(row, snapshots)
    return UnmanagedResource.objects.count()


def is_unknown(row: UnmanagedResource) -> bool:
    """Return whether the database still does not know the resource."""
    return bool(list(_unknown([Sighting(row.kind, row.name, row.region, row.path, row.slug)])))


def _sightings() -> Iterator[Sighting]:
    """Yield every resource that AWS holds under our names."""
    places = {Place.of_site(), *(Place(*each) for each in Stack.objects.values_list("account", "region").distinct())}
    with aws.translated_errors():
        for place in sorted(places):
            yield from _stacks(place)
            yield from _secrets(place)
        yield from _principals()


def _stacks(place: Place) -> Iterator[Sighting]:
    for page in cloudformation.client(place).get_paginator("list_stacks").paginate():
        for summary in page["StackSummaries"]:
            name = summary["StackName"]
            # A nested stack's name begins as its parent's, whose part it is.
            if summary["StackStatus"] != REMOVED and not summary.get("ParentId") and (slug := _slug_of_stack(name)) is not None:
                yield Sighting(Kind.STACK, name, place.region, slug=slug, made_at=summary["CreationTime"])


def _secrets(place: Place) -> Iterator[Sighting]:
    prefix = f"{names.PROJECT}/"
    client = aws.client("secretsmanager", place, config=aws.ADAPTIVE_RETRIES)
    for page in client.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [prefix]}]):
        for secret in page["SecretList"]:
            if secret["Name"].startswith(prefix):
                slug = secret["Name"].removeprefix(prefix).partition("/")[0]
                yield Sighting(Kind.SECRET, secret["Name"], place.region, slug=slug[:64], made_at=secret.get("CreatedDate"))


def _principals() -> Iterator[Sighting]:
    iam = aws.iam(Place.of_site())
    for users in iam.get_paginator("list_users").paginate(PathPrefix=ROOT_PATH):
        yield from (_principal(Kind.USER, user["UserName"], user) for user in users["Users"])
    for roles in iam.get_paginator("list_roles").paginate(PathPrefix=ROOT_PATH):
        yield from (_principal(Kind.ROLE, role["RoleName"], role) for role in roles["Roles"])
    for groups in iam.get_paginator("list_groups").paginate(PathPrefix=ROOT_PATH):
        yield from (_principal(Kind.IAM_GROUP, iam_group["GroupName"], iam_group) for iam_group in groups["Groups"])


def _principal(kind: str, name: str, described: Any) -> Sighting:
    path = described["Path"]
    slug = path.removeprefix(ROOT_PATH).partition("/")[0]
    return Sighting(kind, name, path=path, slug=slug[:64], made_at=described.get("CreateDate"))


def _slug_of_stack(name: str) -> str | None:
    """Return the slug in a group stack's name, "" for a storage stack, None for a name that no stack of ours has."""
    try:
        if name.startswith(names.group_stack("")):
            return names.check_known_slug(name.removeprefix(names.group_stack("")))
        return "" if name.startswith(names.PLATFORM_STACK) and names.storage_number(name) else None
    except ValueError:
        return None


def _unknown(seen: Iterable[Sighting]) -> Iterator[Sighting]:
    """Yield the resources that the database does not know; those of an unknown stack are left out, as the stack stands for them."""
    # A group's stack that was changed after the backup holds people whom the database does not know.
    stacks = set(Stack.objects.exclude(kind=Stack.Kind.GROUP, newer_generation__gt=0).values_list("name", flat=True))
    groups = {group.slug: group for group in Group.objects.filter(retired_at=None).select_related("stack")}
    seen = list(seen)
    unknown = {sighting.slug for sighting in seen if sighting.kind == Kind.STACK and sighting.name not in stacks and sighting.slug}
    holders = _known_holders()
    unsettled: dict[str, bool] = {}
    for sighting in seen:
        if sighting.kind == Kind.STACK:
            if sighting.name not in stacks:
                yield sighting
            continue
        if sighting.slug in unknown and _is_made_by_stacks(sighting):
            continue
        if (group := groups.get(sighting.slug)) is not None:
            if _is_of_group(sighting, holders):
                continue
            # A resource that changes with a deployment, or with a decision about the whole stack, is not unmanaged.
            if sighting.slug not in unsettled:
                unsettled[sighting.slug] = _is_unsettled(group)
            if unsettled[sighting.slug]:
                continue
        yield sighting


def _is_made_by_stacks(sighting: Sighting) -> bool:
    """Return whether a group's stack gives such a name.

    Whether the stack really made it shows once the stack is taken over or gone.
    """
    own: dict[str, bool] = {
        Kind.ROLE: sighting.name == names.role(sighting.slug),
        Kind.IAM_GROUP: sighting.name == names.iam_group(sighting.slug),
        Kind.USER: sighting.name.startswith(names.user(sighting.slug, "")),
        Kind.SECRET: sighting.name.startswith(names.secret(sighting.slug, "")),
    }
    return own[sighting.kind]


def _known_holders() -> set[str]:
    """Return the names of the users and secrets of all members who hold keys, or whose key is yet to be removed."""
    rows = Membership.objects.not_ended().filter(access=Access.KEYS).values_list("group__slug", "username")
    return {name for slug, username in rows for name in (names.user(slug, username), names.secret(slug, username))}


def _is_of_group(sighting: Sighting, holders: set[str]) -> bool:
    if sighting.kind == Kind.ROLE:
        return sighting.name == names.role(sighting.slug)
    if sighting.kind == Kind.IAM_GROUP:
        return sighting.name == names.iam_group(sighting.slug)
    return sighting.name in holders


def _is_unsettled(group: Group) -> bool:
    stack = group.stack
    is_open = Deployment.objects.open().filter(stack=stack).exists()
    return stack.needs_decision or not stack.is_up_to_date or is_open or is_settling(stack.pk)


def _keep(unknown: list[Sighting]) -> None:
    there = {(row.kind, row.name, row.region): row for row in UnmanagedResource.objects.all()}
    wanted = {sighting.key: sighting for sighting in unknown[:MAX_RESOURCES_KEPT]}
    UnmanagedResource.objects.filter(pk__in=[row.pk for key, row in there.items() if key not in wanted]).delete()
    UnmanagedResource.objects.bulk_create(
        UnmanagedResource(
            kind=sighting.kind,
            name=sighting.name,
            region=sighting.region,
            path=sighting.path,
            slug=sighting.slug,
            made_at=sighting.made_at,
        )
        for key, sighting in wanted.items()
        if key not in there
    )


def _read(row: UnmanagedResource, snapshots: dict[tuple[str, Place], IamSnapshot]) -> None:
    """Read a row's manifest and effective access from AWS. A failure is kept on the row."""
    now = timezone.now()
    try:
        if row.kind == Kind.STACK:
            deployed = read_deployed_manifest(row.name, row.place)
            row.generation, row.status, row.problem = deployed.generation, deployed.status, deployed.problem
            row.manifest = deployed.manifest.to_json() if deployed.manifest else ""
            row.names_everybody = deployed.is_published
        else:
            row.problem = ""
        if row.slug and row.kind != Kind.SECRET:
            key = (row.slug, row.place)
            if key not in snapshots:
                snapshots[key] = _read_snapshot_of(*key)
            row.reach, row.users = _access_and_users(row, snapshots[key])
    except (AwsFailure, StoreUnavailable) as error:
        row.problem = f"It could not be read: {error}"[:500]
    row.read_at = now
    fields = ("generation", "status", "problem", "manifest", "names_everybody", "reach", "users", "read_at")
    UnmanagedResource.objects.filter(pk=row.pk).update(**{name: getattr(row, name) for name in fields})


def _read_snapshot_of(slug: str, place: Place) -> IamSnapshot:
    """Read what IAM holds under a slug, whether there is such a group or not. Raises AwsFailure."""
    stack = Stack(name=names.group_stack(slug), account=place.account, region=place.region)
    return read_snapshot(Group(slug=slug, stack=stack), [])


def _access_and_users(row: UnmanagedResource, snapshot: IamSnapshot) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """Return what a row's principals can reach, and its users, both as JSON."""
    everybody = [*snapshot.users.values(), *snapshot.foreign.values()]
    users = {
        Kind.STACK: everybody,
        Kind.USER: [user for user in everybody if user.name == row.name],
        Kind.IAM_GROUP: [user for user in everybody if row.name == names.iam_group(row.slug)],
        Kind.ROLE: [],
    }[Kind(row.kind)]
    role = snapshot.role if row.kind in (Kind.STACK, Kind.ROLE) and snapshot.role is not None else None
    carriers = [*users, *([role] if role is not None and (row.kind == Kind.STACK or role.name == row.name) else [])]
    return _rights_by_bucket(principal.effective_access() for principal in carriers), [_user(user) for user in users]


def _user(principal: Principal) -> dict[str, Any]:
    used = max((key.last_used_at for key in principal.keys if key.last_used_at), default=None)
    return {
        "name": principal.name,
        "keys": sum(key.is_active for key in principal.keys),
        "last_used_at": used.isoformat() if used else "",
    }


def _rights_by_bucket(accesses: Iterable[EffectiveAccess]) -> list[dict[str, str]]:
    """Return the buckets that any of them accesses, each with its rights in words."""
    rights_by_bucket: dict[str, set[str]] = {}
    for access in accesses:
        if not access.is_denied:
            for bucket, rights in access.in_buckets().items():
                rights_by_bucket.setdefault(bucket, set()).update(right.value for right in rights)
    order = ("list", "read", "write", "delete")
    return [
        {"bucket": bucket, "rights": ", ".join(right for right in order if right in rights)}
        for bucket, rights in sorted(rights_by_bucket.items())
    ]

"""The review for pages, commands and the CSV: found, searched and ordered in the database, in a fixed number of queries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, When

from control_plane.access.groups.models import Access, Group
from control_plane.access.review.models import Finding, Line, Look, UnmanagedResource
from control_plane.deployments.models import Deployment, Stack

# What the lines stand together by.
ORDERS: dict[str, tuple[Any, ...]] = {
    "person": (F("membership__user__email").asc(nulls_last=True), "principal", "group__slug", "bucket", "pk"),
    "group": ("group__slug", F("membership__user__email").asc(nulls_last=True), "principal", "bucket", "pk"),
    "bucket": ("bucket", "group__slug", F("membership__user__email").asc(nulls_last=True), "principal", "pk"),
}
LONGEST_SEARCH = 100


@dataclass(frozen=True)
class Shown:
    """A line in a person's words. `heading`: what it stands beneath, where that is another than the line's before."""

    line: Line
    person: str
    since: datetime | None
    granted_by: str
    last_used_at: datetime | None
    heading: str = ""


def lines(*, group: Group | None = None, by: str = "person", search: str = "", only_differences: bool = False) -> QuerySet[Line]:
    """The lines of a group, or of all, that the search finds in person, principal, group or bucket."""
    # Of a retired group nothing is on AWS, and nobody looks there any more.
    found = (
        Line.objects.filter(group__retired_at=None)
        .select_related("group", "membership__user", "grant")
        .annotate(member_since=_brought("membership"), grant_since=_brought("grant"))
    )
    if group is not None:
        found = found.filter(group=group)
    if only_differences:
        found = found.filter(differs=True)
    for word in search[:LONGEST_SEARCH].split():
        places = ("membership__user__email", "membership__user__name", "principal", "group__slug", "group__name", "bucket")
        found = found.filter(_any_holds(places, word))
    return found.order_by(*ORDERS.get(by, ORDERS["person"]))


def shown(rows: list[Line], by: str) -> list[Shown]:
    """These lines in words, each with its heading where a new one begins. No queries."""
    found, before = [], None
    for line in rows:
        person = line.membership.user.email if line.membership else "nobody that the database knows"
        heading = {"group": str(line.group), "bucket": line.bucket or "no bucket"}.get(by, person)
        found.append(
            Shown(
                line=line,
                person=person,
                since=since(line),
                granted_by=granted_by(line),
                last_used_at=last_used(line),
                heading=heading if heading != before else "",
            )
        )
        before = heading
    return found


def since(line: Line) -> datetime | None:
    """Since when the person can reach it: the later of when AWS had the membership and the grant."""
    given = [
        getattr(line, "member_since", None) or (line.membership.created_at if line.membership else None),
        getattr(line, "grant_since", None) or (line.grant.created_at if line.grant else None),
    ]
    return max((one for one in given if one), default=None) if line.membership else None


def granted_by(line: Line) -> str:
    """Who let the person in, and who gave the group the bucket."""
    who = [one.added_by for one in (line.membership, line.grant) if one is not None]
    return " / ".join(dict.fromkeys(one or "unknown" for one in who))


def last_used(line: Line) -> datetime | None:
    """When credentials were last handed out, or a key was last used."""
    handed = line.membership.last_used_at if line.membership else None
    return max((one for one in (handed, line.key_last_used_at) if one), default=None)


def findings(group: Group | None = None) -> QuerySet[Finding]:
    """What is not as Cohort makes it: of one group, or everywhere."""
    found = Finding.objects.exclude(look__group__retired_at__isnull=False).select_related("look__group", "membership__user")
    return found.filter(look__group=group) if group is not None else found


def unmanaged() -> QuerySet[UnmanagedResource]:
    """What AWS holds under our names and the database does not know, stacks first.

    With `is_known`: whether the database knows the stack, of which AWS holds what was changed after the backup.
    """
    stack = UnmanagedResource.Kind.STACK
    known = Stack.objects.filter(name=OuterRef("name"))
    found = UnmanagedResource.objects.annotate(is_known=Q(kind=stack) & Exists(known))
    # A known stack's may have been decided about on the stack's page.
    found = found.exclude(kind=stack, name__in=Stack.objects.filter(newer_generation=0).values("name"))
    return found.order_by(Case(When(kind=stack, then=0), default=1), "kind", "name", "pk")


def newer_stacks() -> QuerySet[Stack]:
    """The stacks that AWS holds in a state which the database does not know."""
    return Stack.objects.filter(newer_generation__gt=0).select_related("group")


def newer_groups_unread() -> QuerySet[Stack]:
    """The groups' stacks among them of which it was not read yet what AWS holds now."""
    read = UnmanagedResource.objects.filter(
        kind=UnmanagedResource.Kind.STACK, name=OuterRef("name"), generation=OuterRef("newer_generation")
    )
    return newer_stacks().filter(~Exists(read), kind=Stack.Kind.GROUP)


def counts(group: Group) -> dict[str, int]:
    """How much there is to sign."""
    found = Line.objects.filter(group=group).aggregate(
        lines=Count("pk"),
        people=Count("membership__user", distinct=True),
        buckets=Count("bucket", distinct=True, filter=~Q(bucket="")),
        key_holders=Count("membership", distinct=True, filter=Q(membership__access=Access.KEYS)),
        differing=Count("pk", filter=Q(differs=True)),
    )
    return {**found, "findings": findings(group).count()}


def is_current(look: Look | None, group: Group) -> bool:
    """Whether what was seen is what AWS holds now, as far as we deployed it. One query."""
    if look is None or look.finished_at is None or look.generation != group.stack.deployed_generation:
        return False
    return not runs_since(group.stack_id, look.finished_at).exists()


def runs_since(stack: int | OuterRef, moment: datetime | OuterRef) -> QuerySet[Deployment]:
    """The runs of a stack that ended after a scan began: any of them may have changed what AWS holds."""
    return Deployment.objects.filter(stack=stack, finished_at__gt=moment)


def _brought(what: str) -> Subquery:
    """When the first deployment ended that brought the row."""
    ended = Deployment.objects.filter(
        stack=OuterRef("group__stack"),
        state=Deployment.State.SUCCEEDED,
        generation__gte=OuterRef(f"{what}__added_generation"),
        finished_at__isnull=False,
    )
    return Subquery(ended.order_by("generation", "pk").values("finished_at")[:1])


def _any_holds(places: tuple[str, ...], word: str) -> Q:
    found = Q()
    for place in places:
        found |= Q(**{f"{place}__icontains": word})
    return found

"""Listings of the review for pages, commands and the CSV: filtered, searched and sorted in a fixed number of queries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, When

from control_plane.access.groups.models import Access, Group
from control_plane.access.review.models import AccessEntry, Finding, Scan, UnmanagedResource
from control_plane.deployments.models import Deployment, Stack

# Orders of the lines, by what groups them.
ORDERS: dict[str, tuple[Any, ...]] = {
    "person": (F("membership__user__email").asc(nulls_last=True), "principal", "group__slug", "bucket", "pk"),
    "group": ("group__slug", F("membership__user__email").asc(nulls_last=True), "principal", "bucket", "pk"),
    "bucket": ("bucket", "group__slug", F("membership__user__email").asc(nulls_last=True), "principal", "pk"),
}
MAX_SEARCH_CHARACTERS = 100


@dataclass(frozen=True)
class ReviewRow:
    """A line as it is shown. `heading` is set on the first line of each person, group or bucket, and empty on the others."""

    line: AccessEntry
    person: str
    since: datetime | None
    granted_by: str
    last_used_at: datetime | None
    heading: str = ""


def review_lines(
    *, group: Group | None = None, by: str = "person", search: str = "", only_differences: bool = False
) -> QuerySet[AccessEntry]:
    """Return the lines of a group, or of all, that match the search by person, principal, group or bucket."""
    # A retired group has nothing on AWS and is scanned no more.
    lines = (
        AccessEntry.objects.filter(group__retired_at=None)
        .select_related("group", "membership__user", "grant")
        .annotate(member_since=_deployed_at("membership"), grant_since=_deployed_at("grant"))
    )
    if group is not None:
        lines = lines.filter(group=group)
    if only_differences:
        lines = lines.filter(differs=True)
    for word in search[:MAX_SEARCH_CHARACTERS].split():
        places = ("membership__user__email", "membership__user__name", "principal", "group__slug", "group__name", "bucket")
        lines = lines.filter(_any_contains(places, word))
    return lines.order_by(*ORDERS.get(by, ORDERS["person"]))


def review_rows(rows: list[AccessEntry], by: str) -> list[ReviewRow]:
    """Return these lines as they are shown, each with its heading where a new one begins. No queries."""
    shown, before = [], None
    for line in rows:
        person = line.membership.user.email if line.membership else "nobody that the database knows"
        heading = {"group": str(line.group), "bucket": line.bucket or "no bucket"}.get(by, person)
        shown.append(
            ReviewRow(
                line=line,
                person=person,
                since=accessible_since(line),
                granted_by=granted_by(line),
                last_used_at=last_used(line),
                heading=heading if heading != before else "",
            )
        )
        before = heading
    return shown


def accessible_since(line: AccessEntry) -> datetime | None:
    """Return since when the person can reach it: the later of when the membership and the grant were deployed."""
    given = [
        getattr(line, "member_since", None) or (line.membership.created_at if line.membership else None),
        getattr(line, "grant_since", None) or (line.grant.created_at if line.grant else None),
    ]
    return max((moment for moment in given if moment), default=None) if line.membership else None


def granted_by(line: AccessEntry) -> str:
    """Name whoever added the member, and whoever granted the bucket to the group."""
    who = [row.added_by for row in (line.membership, line.grant) if row is not None]
    return " / ".join(dict.fromkeys(name or "unknown" for name in who))


def last_used(line: AccessEntry) -> datetime | None:
    """Return when credentials were last handed out or a key was last used; None for neither."""
    handed = line.membership.last_used_at if line.membership else None
    return max((moment for moment in (handed, line.key_last_used_at) if moment), default=None)


def findings(group: Group | None = None) -> QuerySet[Finding]:
    """Return the findings of one group, or all of them."""
    all_findings = Finding.objects.exclude(scan__group__retired_at__isnull=False).select_related("scan__group", "membership__user")
    return all_findings.filter(scan__group=group) if group is not None else all_findings


def unmanaged() -> QuerySet[UnmanagedResource]:
    """Return the resources that AWS holds under our names and the database does not know, stacks first.

    Annotated with `is_known`: whether the database knows the stack, which was changed on AWS after the backup.
    """
    stack = UnmanagedResource.Kind.STACK
    known = Stack.objects.filter(name=OuterRef("name"))
    resources = UnmanagedResource.objects.annotate(is_known=Q(kind=stack) & Exists(known))
    # A known stack is left out once it was decided about on the stack's page.
    resources = resources.exclude(kind=stack, name__in=Stack.objects.filter(newer_generation=0).values("name"))
    return resources.order_by(Case(When(kind=stack, then=0), default=1), "kind", "name", "pk")


def newer_stacks() -> QuerySet[Stack]:
    """Return the stacks whose state on AWS is newer than the database."""
    return Stack.objects.filter(newer_generation__gt=0).select_related("group")


def newer_groups_unread() -> QuerySet[Stack]:
    """Return the groups' stacks among `newer_stacks` whose present manifest was not read from AWS yet."""
    already_read = UnmanagedResource.objects.filter(
        kind=UnmanagedResource.Kind.STACK, name=OuterRef("name"), generation=OuterRef("newer_generation")
    )
    return newer_stacks().filter(~Exists(already_read), kind=Stack.Kind.GROUP)


def counts(group: Group) -> dict[str, int]:
    """Count what a sign-off covers: lines, people, buckets, key holders, differing lines and findings."""
    counted = AccessEntry.objects.filter(group=group).aggregate(
        lines=Count("pk"),
        people=Count("membership__user", distinct=True),
        buckets=Count("bucket", distinct=True, filter=~Q(bucket="")),
        key_holders=Count("membership", distinct=True, filter=Q(membership__access=Access.KEYS)),
        differing=Count("pk", filter=Q(differs=True)),
    )
    return {**counted, "findings": findings(group).count()}


def is_current(scan: Scan | None, group: Group) -> bool:
    """Return whether no deployment has run since the scan, so that it shows what AWS holds now. One query."""
    if scan is None or scan.finished_at is None or scan.generation != group.stack.deployed_generation:
        return False
    return not runs_since(group.stack_id, scan.finished_at).exists()


def runs_since(stack: int | OuterRef, moment: datetime | OuterRef) -> QuerySet[Deployment]:
    """Return the runs of a stack that ended after a scan began: any of them may have changed what AWS holds."""
    return Deployment.objects.filter(stack=stack, finished_at__gt=moment)


def _deployed_at(what: str) -> Subquery:
    """Return when the first deployment that contained the row ended."""
    ended = Deployment.objects.filter(
        stack=OuterRef("group__stack"),
        state=Deployment.State.SUCCEEDED,
        generation__gte=OuterRef(f"{what}__added_generation"),
        finished_at__isnull=False,
    )
    return Subquery(ended.order_by("generation", "pk").values("finished_at")[:1])


def _any_contains(places: tuple[str, ...], word: str) -> Q:
    condition = Q()
    for place in places:
        condition |= Q(**{f"{place}__icontains": word})
    return condition

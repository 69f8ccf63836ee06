"""Use of each quota by Cohort's own groups, by the database: on AWS now, or with all that is already requested."""

from collections import Counter

from django.db.models import Count, F, Q

from control_plane.access.groups.models import Access, GenerationScopedQuerySet, Grant, Membership
from control_plane.access.limits.definitions import GROUPS, POLICIES, ROLES, STACKS, USERS
from control_plane.deployments.models import Stack
from stacks import parts
from stacks import policies as documents
from stacks.manifest import MAX_ANALYSES

# Grants that fit a managed policy, however long the names are. Both sides of a comparison use it, so it may be rough.
GRANTS_PER_POLICY = MAX_ANALYSES // documents.POLICIES_PER_PRINCIPAL


def count_own_use(account: str, region: str = "", *, on_aws: bool = False) -> dict[str, int]:
    """Count what our groups use in the account and, of the regional quotas, in this region. In three queries.

    What is being removed counts until AWS has removed it. With `on_aws`, what was not deployed yet does not count.
    """
    holders = _held(Membership.objects.filter(access=Access.KEYS), on_aws).filter(group__stack__account=account)
    of_groups = Counter(dict(_by_group(holders)))
    grants = _held(Grant.objects.all(), on_aws).filter(group__stack__account=account)
    # A removed group keeps its row.
    stacks = Stack.objects.filter(account=account).exclude(is_retired=True, deployed_generation__gte=F("generation"))
    if on_aws:
        stacks = stacks.filter(deployed_generation__gt=0)
    tallied = stacks.aggregate(roles=Count("pk", filter=Q(kind=Stack.Kind.GROUP)), here=Count("pk", filter=Q(region=region)))
    nested = sum(-(-max(0, count - parts.HOLDERS_PER_PART) // parts.HOLDERS_PER_PART) for count in of_groups.values())
    return {
        USERS: sum(of_groups.values()),
        GROUPS: len(of_groups),
        ROLES: tallied["roles"],
        POLICIES: sum(-(-count // GRANTS_PER_POLICY) for _, count in _by_group(grants)),
        STACKS: tallied["here"] + nested,
    }


def _held(rows: GenerationScopedQuerySet, on_aws: bool) -> GenerationScopedQuerySet:
    held = rows.not_ended()
    return held.filter(added_generation__lte=F("group__stack__deployed_generation")) if on_aws else held


def _by_group(rows: GenerationScopedQuerySet) -> list[tuple[int, int]]:
    return list(rows.order_by().values_list("group").annotate(Count("pk")))

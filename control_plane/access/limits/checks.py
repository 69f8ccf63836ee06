"""Refusal of changes that would exceed a limit of AWS, with what to do about it. An unknown limit never refuses.

Every change of a group's manifest is checked here, whichever service made it; one that adds nothing is never refused.
"""

from collections.abc import Iterable

from control_plane.access.limits.definitions import (
    ASK_AWS,
    BY_NAME,
    CHARACTERS,
    GROUPS,
    PER_PRINCIPAL,
    POLICIES,
    ROLES,
    STACKS,
    USERS,
)
from control_plane.access.limits.headroom import effective_limit, headroom_of
from control_plane.access.limits.models import Usage
from control_plane.access.limits.own_use import count_own_use
from control_plane.base.errors import LimitReached
from control_plane.deployments.models import Stack
from stacks import limits, policies
from stacks.manifest import GroupManifest

# Below this share of a limit two concurrent changes cannot exceed it together; above, one waits for the other.
LOCK_FROM_PERCENT = 90


def require_room(stack: Stack, before: GroupManifest | None, after: GroupManifest) -> None:
    """Refuse a change of a group that would exceed a limit. In the transaction that makes it. Raises LimitReached."""
    try:
        needed = limits.manifest_figures(after)
        held = limits.manifest_figures(before) if before else None
    except policies.PolicyTooLarge as error:
        raise LimitReached(f"{error} Nothing was changed.") from error
    _check_group(stack, needed, held)
    now, then = _account_use(needed), _account_use(held)
    if grown := [name for name, count in now.items() if count > then[name]]:
        _check_account(stack, grown)


def require_room_for_stack(stack: Stack) -> None:
    """Refuse a further stack, whose row exists already, that would exceed the account's limit. Raises LimitReached."""
    _check_account(stack, (STACKS,))


def _account_use(figures: limits.ManifestFigures | None) -> dict[str, int]:
    """Return what a group uses of the account's quotas, by the quotas' names."""
    if figures is None:
        return dict.fromkeys((USERS, GROUPS, ROLES, POLICIES, STACKS), 0)
    return {
        USERS: figures.key_holders,
        GROUPS: min(1, figures.key_holders),
        ROLES: min(1, figures.stacks),
        POLICIES: figures.policies,
        STACKS: figures.stacks,
    }


def _check_group(stack: Stack, needed: limits.ManifestFigures, held: limits.ManifestFigures | None) -> None:
    """Refuse what one group may not hold, however much headroom the account has. Raises LimitReached."""
    limits_on_aws = dict(Usage.objects.filter(account=stack.account, region="").values_list("name", "limit"))
    for name, needed_now, held_before, default in (
        (PER_PRINCIPAL, needed.policies, held.policies if held else 0, policies.POLICIES_PER_PRINCIPAL),
        (CHARACTERS, needed.policy_characters, held.policy_characters if held else 0, policies.POLICY_CHARACTERS),
    ):
        quota = BY_NAME[name]
        limit = effective_limit(quota, limits_on_aws.get(name)) or default
        if needed_now > max(limit, held_before):
            raise LimitReached(
                f"{stack.title} would need {needed_now:,} where AWS allows {limit:,} ({quota.title.lower()}). Nothing was changed. "
                f"{quota.advice} {ASK_AWS}."
            )
    if needed.all_resources > max(limits.RESOURCES_PER_OPERATION, held.all_resources if held else 0):
        raise LimitReached(
            f"{stack.title} would be {needed.all_resources:,} resources, and CloudFormation changes "
            f"{limits.RESOURCES_PER_OPERATION:,} together. Nothing was changed. Make some members federated, or split the group."
        )


def _check_account(stack: Stack, grown: Iterable[str]) -> None:
    rows = Usage.objects.filter(account=stack.account, region__in=("", stack.region), name__in=grown, used__isnull=False)
    rows = rows.order_by("region", "name")
    counted = count_own_use(stack.account, stack.region)
    if any(headroom_of(row, counted[row.name]).percent >= LOCK_FROM_PERCENT for row in rows):
        rows = rows.select_for_update()
        # Evaluated before counting again: by then, whoever held the rows has committed.
        locked = list(rows)
        counted = count_own_use(stack.account, stack.region)
    else:
        locked = list(rows)
    for row in locked:
        headroom = headroom_of(row, counted[row.name])
        if headroom.limit is not None and headroom.wanted > headroom.limit:
            raise LimitReached(
                f"The AWS account would need {headroom.wanted:,} {_in_sentence(headroom.title)}, and its limit is "
                f"{headroom.limit:,}. Nothing was changed. {BY_NAME[row.name].advice} {ASK_AWS}. "
                "“Quotas” in the administration shows what is used."
            )


def _in_sentence(title: str) -> str:
    return title if title.startswith(("IAM", "Cloud")) else title.lower()

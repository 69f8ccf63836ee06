"""Refusing beforehand what would pass a limit of AWS, with what to do about it. A limit that is not known never refuses.

Every change of a group's manifest passes here, whichever service made it; one that makes nothing more is never refused.
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
from control_plane.access.limits.headroom import limit_of, standing
from control_plane.access.limits.models import Usage
from control_plane.access.limits.own_use import ours
from control_plane.base.errors import LimitReached
from control_plane.deployments.models import Stack
from stacks.manifest import GroupManifest, limits, policies

# Below this share of a limit two who add at the same time cannot both pass it; above, one waits for the other.
LOCK_FROM_PERCENT = 90


def require_room(stack: Stack, before: GroupManifest | None, after: GroupManifest) -> None:
    """Refuse a change of a group that would pass a limit. In the transaction that makes it. Raises LimitReached."""
    try:
        needed = limits.manifest_figures(after)
        held = limits.manifest_figures(before) if before else None
    except policies.PolicyTooLarge as error:
        raise LimitReached(f"{error} Nothing was changed.") from error
    _check_group(stack, needed, held)
    now, then = _of_account(needed), _of_account(held)
    if grown := [name for name, many in now.items() if many > then[name]]:
        _check_account(stack, grown)


def require_room_for_stack(stack: Stack) -> None:
    """Refuse a further stack, whose row is there already, that would pass the account's limit. Raises LimitReached."""
    _check_account(stack, (STACKS,))


def _of_account(figures: limits.ManifestFigures | None) -> dict[str, int]:
    """What a group takes of the account's quotas."""
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
    """What one group may hold, however much room the account has."""
    told = dict(Usage.objects.filter(account=stack.account, region="").values_list("name", "limit"))
    for name, many, before, default in (
        (PER_PRINCIPAL, needed.policies, held.policies if held else 0, policies.POLICIES_PER_PRINCIPAL),
        (CHARACTERS, needed.policy_characters, held.policy_characters if held else 0, policies.POLICY_CHARACTERS),
    ):
        quota = BY_NAME[name]
        limit = limit_of(quota, told.get(name)) or default
        if many > max(limit, before):
            raise LimitReached(
                f"{stack.title} would need {many:,} where AWS allows {limit:,} ({quota.title.lower()}). Nothing was changed. "
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
    counted = ours(stack.account, stack.region)
    if any(standing(row, counted[row.name]).percent >= LOCK_FROM_PERCENT for row in rows):
        rows = rows.select_for_update()
        # Evaluated before counting again: who held the rows has committed by then.
        locked = list(rows)
        counted = ours(stack.account, stack.region)
    else:
        locked = list(rows)
    for row in locked:
        found = standing(row, counted[row.name])
        if found.limit is not None and found.wanted > found.limit:
            raise LimitReached(
                f"The AWS account would need {found.wanted:,} {_in_sentence(found.title)}, and its limit is {found.limit:,}. "
                f"Nothing was changed. {BY_NAME[row.name].advice} {ASK_AWS}. “Quotas” in the administration shows what is used."
            )


def _in_sentence(title: str) -> str:
    return title if title.startswith(("IAM", "Cloud")) else title.lower()

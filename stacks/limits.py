"""AWS's limits on one group, and the split of a group that would pass one: calculated from its manifest, without asking AWS.

Key holders beyond the first hundred lie in nested stacks, called parts. A member's part is written in the manifest and never
changes, so that nobody's key is made anew because somebody else comes or goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks import denials, policies

if TYPE_CHECKING:
    from stacks.manifest import GroupManifest, Member

# CloudFormation user guide, "Understand CloudFormation quotas": resources in a stack, resources that one operation on a stack
# and those nested in it may touch, and bytes of a template that lies in S3.
RESOURCES_PER_STACK = 500
RESOURCES_PER_OPERATION = 2500
TEMPLATE_BYTES = 1_000_000
# A key holder's user, key and secret; and the key before, while it goes on beside a new one.
RESOURCES_PER_HOLDER = 3
# What fits a stack even while everybody has two keys.
HOLDERS_PER_PART = 100
# What one operation can remove even while everybody has two keys: 600 times 4, and the rest of the stack.
MAX_KEY_HOLDERS = 600
MAX_PARTS = MAX_KEY_HOLDERS // HOLDERS_PER_PART


@dataclass(frozen=True)
class ManifestFigures:
    """One group's use of AWS, each figure with a limit of its own."""

    members: int
    key_holders: int
    stacks: int
    # Of the stack that holds most, and of all together.
    resources: int
    all_resources: int
    policies: int
    # Of the largest managed policy, and of the role's inline policies together.
    policy_characters: int
    inline_characters: int


def manifest_figures(manifest: GroupManifest) -> ManifestFigures:
    """Calculate a group's figures. Raises policies.PolicyTooLarge."""
    if manifest.retired:
        return ManifestFigures(0, 0, 0, 0, 0, 0, 0, 0)
    documents = policies.group_policies(manifest)
    parts = resources_of_parts(manifest.members)
    # The main stack: role and policies, the IAM group of key holders, and the nested stacks themselves.
    nested = sum(part > 0 for part in parts)
    main = 1 + len(documents) + parts.get(0, 0) + (1 if parts else 0) + nested
    of_nested = [many for part, many in parts.items() if part > 0]
    inline = [document for document in (denials.role_denial(manifest), policies.undo_policy(manifest)) if document]
    return ManifestFigures(
        members=len(manifest.members),
        key_holders=sum(member.access == "keys" for member in manifest.members),
        stacks=1 + nested,
        resources=max([main, *of_nested]),
        all_resources=main + sum(of_nested),
        policies=len(documents),
        policy_characters=max((policies.size(document) for document in documents), default=0),
        inline_characters=sum(policies.size(document) for document in inline),
    )


def resources_of_parts(members: Iterable[Member]) -> Counter[int]:
    """Return the number of resources of each part's key holders, by part."""
    resources: Counter[int] = Counter()
    for member in members:
        if member.access == "keys":
            resources[member.part] += RESOURCES_PER_HOLDER + (1 if member.previous_key else 0)
    return resources


def assign_parts(holders: Iterable[str], held: Mapping[str, int], per_part: int = HOLDERS_PER_PART) -> dict[str, int]:
    """Assign a part to each key holder: their present one (`held`), or, for a new holder, the first that has room.

    Where none has room, the last one gets them: their number passes the manifest's limit, which says so.
    """
    names = list(holders)
    placed = {name: held[name] for name in names if name in held}
    taken = Counter(placed.values())
    for name in names:
        if name not in placed:
            part = next((number for number in range(MAX_PARTS) if taken[number] < per_part), MAX_PARTS - 1)
            placed[name] = part
            taken[part] += 1
    return placed

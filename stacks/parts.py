"""Parts of a group's stack, among which its key holders are spread since one stack has no room for all.

Key holders beyond the first hundred lie in nested stacks, called parts. A member's part is written in the manifest and never
changes, so that nobody's key is made anew because somebody else comes or goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stacks.manifest import Member

# CloudFormation user guide, "Understand CloudFormation quotas": resources in a stack.
RESOURCES_PER_STACK = 500
# A key holder's user, key and secret; and the key before, while it goes on beside a new one.
RESOURCES_PER_HOLDER = 3
# What fits a stack even while everybody has two keys.
HOLDERS_PER_PART = 100
# What one operation can remove even while everybody has two keys: 600 times 4, and the rest of the stack.
MAX_KEY_HOLDERS = 600
MAX_PARTS = MAX_KEY_HOLDERS // HOLDERS_PER_PART
# What a stack has room for beside the group's role, its ten policies, its IAM group and its nested stacks.
MAX_HOLDERS_RESOURCES = RESOURCES_PER_STACK - 12 - MAX_PARTS


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

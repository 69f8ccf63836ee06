"""One permission check: whether an action is allowed on a resource, under these conditions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local_aws.rights.changes import Change

ANY = "*"


@dataclass(frozen=True)
class PermissionCheck:
    """One action on one resource, with the condition keys that the call carries."""

    action: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict)
    # The tags of what the same change has just made; None where it was there before, and its tags are to be looked up.
    tags: Mapping[str, str] | None = None


def with_tags(change: Change, tags: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the condition keys of a request that carries these tags; by default, all that are wanted."""
    wanted = change.tags if tags is None else tags
    keys: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in wanted.items()}
    return keys | ({"aws:TagKeys": sorted(wanted)} if wanted else {})


def without_tags(keys: set[str]) -> dict[str, Any]:
    """Return the condition keys of a request that removes tags."""
    return {"aws:TagKeys": sorted(keys)}

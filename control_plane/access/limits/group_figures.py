"""Figures of one group, by its latest manifest, against the limits that apply to each group."""

from dataclasses import dataclass

from control_plane.access.groups.models import Group
from control_plane.deployments.models import StoredManifest
from stacks import limits, parts, policies
from stacks.manifest import GroupManifest, parse


@dataclass(frozen=True)
class GroupFigures:
    """A group and its figures."""

    group: Group
    figures: limits.ManifestFigures


def group_figures(stored: StoredManifest) -> GroupFigures:
    """Return the figures of a manifest's group; `stack.group` should be loaded. Raises TypeError for any other manifest."""
    manifest = parse(stored.text)
    if not isinstance(manifest, GroupManifest):
        raise TypeError(f"{stored} is no group's.")
    return GroupFigures(stored.stack.group, limits.manifest_figures(manifest))


def group_limits() -> dict[str, int]:
    """Return the limits that each group is measured against, by the names of `Figures` where it has them."""
    return {
        "key_holders": parts.MAX_KEY_HOLDERS,
        "resources": parts.RESOURCES_PER_STACK,
        "policies": policies.POLICIES_PER_PRINCIPAL,
        "policy_characters": policies.POLICY_CHARACTERS,
    }

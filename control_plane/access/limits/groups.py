"""What one group takes of the limits of its own, by the manifest that was asked for last."""

from dataclasses import dataclass

from control_plane.access.groups.models import Group
from control_plane.deployments.models import StoredManifest
from stacks.manifest import GroupManifest, limits, parse, policies


@dataclass(frozen=True)
class GroupFigures:
    """A group and its figures."""

    group: Group
    figures: limits.ManifestFigures


def group_figures(stored: StoredManifest) -> GroupFigures:
    """Of the group whose manifest this is; `stack.group` should be loaded."""
    manifest = parse(stored.text)
    if not isinstance(manifest, GroupManifest):
        raise TypeError(f"{stored} is no group's.")
    return GroupFigures(stored.stack.group, limits.manifest_figures(manifest))


def group_limits() -> dict[str, int]:
    """List the limits that each group is measured against, by the names of `Figures` where it has them."""
    return {
        "key_holders": limits.MAX_KEY_HOLDERS,
        "resources": limits.RESOURCES_PER_STACK,
        "policies": policies.POLICIES_PER_PRINCIPAL,
        "policy_characters": policies.POLICY_CHARACTERS,
    }

"""Stacks of a CDK app: one group's or one storage stack alone, or all of these. The site's own are in `site_assembly`."""

import sys

import aws_cdk as cdk

from stacks.group.group_stack import GroupStack
from stacks.group.storage_stack import StorageStack
from stacks.manifest import GroupManifest
from stacks.store import ManifestNotFound, ManifestStore, read_group, read_platform, read_platforms

RETIRED = "these groups are retired, and the control plane has removed their stacks."


class GroupRetired(ValueError):
    """The requested stack belongs to a retired group, which AWS is to hold no longer."""


def add_stacks(app: cdk.App, store: ManifestStore, *, group: str | None = None) -> None:
    """Add the stack of `group`; without one, every storage stack and every group's that the store holds.

    Retired groups have none: they are left out, and named on standard error. Raises ManifestNotFound for an unknown group,
    ManifestError for one that does not fit the schema, GroupRetired where `group` is.
    """
    if group is not None:
        GroupStack(app, _not_retired(read_group(store, group)))
        return
    try:
        platforms = read_platforms(store)
    except ManifestNotFound:
        # Before the control plane has described the platform there is nothing to synthesise, and `cdk ls` is just empty.
        return
    for platform in platforms:
        StorageStack(app, platform)
    retired = []
    for slug in store.group_slugs():
        manifest = read_group(store, slug)
        if manifest.retired:
            retired.append(manifest.stack_name)
        else:
            GroupStack(app, manifest)
    if retired:
        print(f"cohort: without {', '.join(retired)}: {RETIRED}", file=sys.stderr)


def _not_retired(manifest: GroupManifest) -> GroupManifest:
    if manifest.retired:
        raise GroupRetired(
            f"The group {manifest.slug!r} is retired: the control plane has removed the stack {manifest.stack_name}, or is about "
            "to. There is nothing to synthesise, compare, deploy or destroy here. Should the stack still be there, press “Repair” "
            "on its page, or see `manage.py retire status`; its record and history are in the administration."
        )
    return manifest


def add_platform(app: cdk.App, store: ManifestStore, number: int = 1) -> None:
    """Add one storage stack alone. Raises ManifestNotFound or ManifestError."""
    StorageStack(app, read_platform(store, number))

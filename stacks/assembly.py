"""Which stacks an app holds: one group's alone, or the platform's and every group's, and the site's own host and backups."""

from typing import TYPE_CHECKING

import aws_cdk as cdk

from stacks.group_stack import GroupStack
from stacks.manifest import ManifestNotFound, ManifestStore, read_group, read_platform
from stacks.storage_stack import StorageStack

if TYPE_CHECKING:
    from stacks.site import Site


def add_stacks(app: cdk.App, store: ManifestStore, *, group: str | None = None) -> None:
    """Add the stack of `group`; without one, the platform's and every group's that the store holds.

    Raises ManifestNotFound for an unknown group, ManifestError for one that does not fit the schema.
    """
    if group is not None:
        GroupStack(app, read_group(store, group))
        return
    try:
        StorageStack(app, read_platform(store))
    except ManifestNotFound:
        # Before the control plane has described the platform there is nothing to synthesise, and `cdk ls` is just empty.
        return
    for slug in store.group_slugs():
        GroupStack(app, read_group(store, slug))


def add_platform(app: cdk.App, store: ManifestStore) -> None:
    """Add the platform's stack alone. Raises ManifestNotFound or ManifestError."""
    StorageStack(app, read_platform(store))


def add_site(app: cdk.App, site: "Site") -> None:
    """Add the site's backups and its host."""
    # A group's deployment waits for its synthesis, and needs none of these.
    from stacks.backup_stack import BackupStack
    from stacks.host_stack import HostStack

    HostStack(app, site, BackupStack(app, site))

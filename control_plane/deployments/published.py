"""Manifests as they were published to the store, which may differ from this database's after a backup was restored."""

from control_plane.base.config import config
from control_plane.deployments.models import Stack, StoredManifest
from stacks.manifest import GroupManifest, PlatformManifest, parse
from stacks.store import ManifestNotFound, open_store


def published_manifest(stack: Stack) -> GroupManifest | PlatformManifest | None:
    """Return the manifest last published for a stack; None if there is none. Raises StoreUnavailable or ManifestError."""
    newest = StoredManifest.objects.at(stack, stack.generation)
    if newest is None:
        return None
    try:
        return parse(open_store(config().manifest_store).read(newest.store_key))
    except ManifestNotFound:
        return None

"""Receivers of the signals that floors below send: changes that would exceed a limit of AWS are refused."""

from django.dispatch import receiver

from control_plane.access.groups.signals import manifest_proposed
from control_plane.access.limits.checks import require_room, require_room_for_stack
from control_plane.deployments.models import Stack
from stacks.manifest import GroupManifest


@receiver(manifest_proposed, dispatch_uid="quotas")
def on_manifest_proposed(*, stack: Stack, before: GroupManifest | None, after: GroupManifest | None, **_: object) -> None:
    """Refuse what would exceed a limit. Raises LimitReached."""
    if after is None:
        require_room_for_stack(stack)
    else:
        require_room(stack, before, after)

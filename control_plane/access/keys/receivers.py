"""Receivers of the signals that floors below send: keys that would be in a deployment's way are removed first."""

from django.dispatch import receiver

from control_plane.access.keys.adopted import remove_before_deploying
from control_plane.deployments.models import Stack
from control_plane.deployments.signals import pre_execute


@receiver(pre_execute, dispatch_uid="keys")
def on_pre_execute(*, stack: Stack, manifest: str, **_: object) -> None:
    """Remove the adopted keys of users whom AWS is to remove. Raises AwsFailure."""
    remove_before_deploying(stack, manifest)

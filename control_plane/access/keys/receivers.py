"""Receivers of the signals that floors below send: adopted keys that would make a deployment fail are removed first."""

from django.dispatch import receiver

from control_plane.access.keys.adopted import remove_before_deploying
from control_plane.deployments.models import Stack
from control_plane.deployments.signals import pre_execute


@receiver(pre_execute, dispatch_uid="keys")
def on_pre_execute(*, stack: Stack, manifest: str, **_: object) -> None:
    """Remove the adopted keys of users whom the deployment deletes. Raises AwsFailure."""
    remove_before_deploying(stack, manifest)

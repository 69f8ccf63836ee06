"""Receivers of the signals that floors below send: what is being retired goes on once AWS has let go of it."""

from django.dispatch import receiver

from control_plane.access.retirement.tasks import go_on_retiring
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.signals import deployment_succeeded


@receiver(deployment_succeeded, dispatch_uid="retirement")
def on_deployment_succeeded(*, deployment: Deployment, **_: object) -> None:
    """A retired group's stack is removed, a retired analysis's bucket taken out of its own: both go on from there."""
    if deployment.stack.is_retired or deployment.stack.kind == Stack.Kind.PLATFORM:
        go_on_retiring.enqueue()

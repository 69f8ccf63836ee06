"""Receivers of the signals that floors below send: a retirement continues once its deployment has succeeded."""

from django.dispatch import receiver

from control_plane.access.retirement.tasks import advance_all_retirements
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.signals import deployment_succeeded


@receiver(deployment_succeeded, dispatch_uid="retirement")
def on_deployment_succeeded(*, deployment: Deployment, **_: object) -> None:
    """Continue retirements whose group's stack is deleted, or whose analysis's bucket has left its stack."""
    if deployment.stack.is_retired or deployment.stack.kind == Stack.Kind.PLATFORM:
        advance_all_retirements.enqueue()

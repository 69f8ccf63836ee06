"""Receivers of signals from floors below: analyses whose buckets were not made are left out."""

from collections.abc import Mapping

from django.dispatch import receiver

from control_plane.base.audit.actors import Actor
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.signals import deployment_cancelled, deployment_failed
from control_plane.research.catalogue.tasks import leave_out_unmade
from control_plane.research.catalogue.unmade import leave_out_cancelled


@receiver(deployment_cancelled, dispatch_uid="catalogue")
def on_deployment_cancelled(*, deployment: Deployment, stack: Stack, actor: Actor, **_: object) -> Deployment | None:
    """Leave out the analyses whose buckets the deployment was to make."""
    return leave_out_cancelled(deployment=deployment, stack=stack, actor=actor)


@receiver(deployment_failed, dispatch_uid="catalogue")
def on_deployment_failed(*, deployment: Deployment, reasons: Mapping[str, str], **_: object) -> None:
    """Leave out the analyses whose buckets made a storage stack's deployment fail, so that the rest is deployed."""
    if reasons and deployment.stack.kind == Stack.Kind.PLATFORM:
        leave_out_unmade.enqueue(deployment.stack_id, dict(reasons))

"""Receivers of signals from the floors below: the consequences for groups."""

from django.dispatch import receiver

from control_plane.access.groups.announcements import announce_access
from control_plane.access.groups.models import Membership
from control_plane.access.groups.services.joining import submit_verified_requests
from control_plane.access.groups.services.withdrawal import withdraw_cancelled
from control_plane.access.groups.tasks import end_transfers
from control_plane.accounts.models import User
from control_plane.accounts.signals import address_verified
from control_plane.base.audit.actors import Actor
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.signals import deployment_cancelled, deployment_succeeded


@receiver(address_verified, dispatch_uid="groups")
def on_address_verified(*, user: User, **_: object) -> None:
    """Submit the requests to join that the person made at sign-up."""
    submit_verified_requests(user)


@receiver(deployment_cancelled, dispatch_uid="groups")
def on_deployment_cancelled(*, deployment: Deployment, stack: Stack, actor: Actor, **_: object) -> Deployment | None:
    """Withdraw the group changes that the deployment was to bring."""
    return withdraw_cancelled(deployment=deployment, stack=stack, actor=actor)


@receiver(deployment_succeeded, dispatch_uid="groups")
def on_deployment_succeeded(*, deployment: Deployment, **_: object) -> None:
    """Announce access that began or ended, and end the old memberships of people who moved here."""
    announce_access(deployment, brought=Stack.objects.get(pk=deployment.stack_id).deployed_generation)
    moving = Membership.objects.filter(group__stack=deployment.stack_id, replaces__removed_generation__isnull=True)
    if moving.filter(replaces__isnull=False).exists():
        end_transfers.enqueue()

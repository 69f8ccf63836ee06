"""Approval of a change by a second administrator before it goes to AWS, where REQUIRE_APPROVAL asks for one."""

from django.db import transaction
from django.utils import timezone

from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused
from control_plane.deployments.cancelling import end_waiting, refuse_if_not_cancellable
from control_plane.deployments.covered_changes import covered_changes
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import announce_cancelled, lock


class NotApprovable(Refused):
    """The deployment waits for no approval, or not for this person's."""


def approve(deployment: Deployment, *, actor: Actor, generation: int | None = None) -> Deployment:
    """Let a deployment that waits for approval go on. Raises NotApprovable, or PermissionDenied.

    `generation` is the one that the approver saw: if more was asked for since, nothing is approved.
    """
    with transaction.atomic():
        deployment = _waiting(deployment, actor)
        if generation is not None and generation != deployment.generation:
            raise NotApprovable("More was asked for since you looked. Nothing was approved; look at the plan again.")
        deployment.state, deployment.approved_at, deployment.approved_by = Deployment.State.QUEUED, timezone.now(), actor.label
        deployment.approved_generation = deployment.generation
        deployment.save(update_fields=["state", "approved_at", "approved_by", "approved_generation"])
        record(actor, "deployment.approve", deployment.stack.name, deployment=deployment.pk, generation=deployment.generation)
    return deployment


def reject(deployment: Deployment, *, actor: Actor, reason: str = "") -> Deployment:
    """Refuse a deployment that waits for approval: it ends, and what it was to give is withdrawn, as where it is cancelled.

    Raises NotApprovable, also where it only takes access away, or PermissionDenied.
    """
    with transaction.atomic():
        deployment = _waiting(deployment, actor)
        refuse_if_not_cancellable(deployment, actor=actor, error=NotApprovable)
        end_waiting(deployment, f"Not approved by {actor.label}{f': {reason}' if reason else '.'}", actor=actor)
        record(actor, "deployment.reject", deployment.stack.name, deployment=deployment.pk, reason=reason)
        announce_cancelled(deployment)
    return deployment


def may_decide(deployment: Deployment, actor: Actor) -> bool:
    """Return whether this actor asked for none of what the deployment covers: nobody approves their own changes."""
    changes = covered_changes(deployment)
    return all(change.actor != actor.label and (actor.user is None or change.actor_user_id != actor.user.pk) for change in changes)


def _waiting(deployment: Deployment, actor: Actor) -> Deployment:
    require_administrator(actor)
    lock(deployment.stack_id)
    deployment = Deployment.objects.select_for_update().select_related("stack").get(pk=deployment.pk)
    if deployment.state != Deployment.State.APPROVAL:
        raise NotApprovable(f"Deployment {deployment.pk} does not wait for approval. Nothing was changed.")
    if not may_decide(deployment, actor):
        raise NotApprovable("You asked for this change yourself. Nothing was changed; another administrator has to decide.")
    return deployment

"""Cancellation of deployments: what they were to give is withdrawn, and what takes access away goes on."""

from django.db import transaction
from django.utils import timezone

from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import NotCancellable, announce_cancelled, lock
from control_plane.deployments.withdrawal import preview_withdrawal, withdraw_and_advise


def cancel(deployment: Deployment, *, actor: Actor) -> Deployment:
    """Cancel a deployment: at once while it waits; while it runs, as soon as AWS can take it back.

    What it was to give is withdrawn and does not come with a later run. A removal, a suspension, a key's replacement or a lockout
    goes on; where a deployment has nothing else, it is not cancelled. Raises NotCancellable, or PermissionDenied.
    """
    require_administrator(actor)
    with transaction.atomic():
        lock(deployment.stack_id)
        deployment = Deployment.objects.select_for_update().get(pk=deployment.pk)
        if not deployment.is_open or deployment.cancel_requested_at:
            raise NotCancellable(f"Deployment {deployment.pk} has ended or is being cancelled already. Nothing was changed.")
        refuse_if_not_cancellable(deployment, actor=actor, error=NotCancellable)
        deployment.cancel_requested_at, deployment.cancel_requested_by = timezone.now(), actor.label
        deployment.save(update_fields=["cancel_requested_at", "cancel_requested_by"])
        if deployment.state in Deployment.WAITING:
            end_waiting(deployment, f"Cancelled by {actor.label} before it began.", actor=actor)
        record(actor, "deployment.cancel", deployment.stack.name, deployment=deployment.pk, state=deployment.state)
        if deployment.state == Deployment.State.CANCELLED:
            announce_cancelled(deployment)
    return deployment


def end_waiting(deployment: Deployment, error: str, *, actor: Actor) -> None:
    """End a waiting deployment, and withdraw what it was to give. In the transaction that records why."""
    deployment.state, deployment.finished_at, deployment.percent = Deployment.State.CANCELLED, timezone.now(), 100
    deployment.error = error
    deployment.save(update_fields=["state", "finished_at", "percent", "error"])
    deployment.advice = withdraw_and_advise(deployment, actor=actor)
    deployment.save(update_fields=["advice"])


def refuse_if_not_cancellable(deployment: Deployment, *, actor: Actor, error: type[ValueError]) -> None:
    """Raise `error` for a deployment that only takes access away, replaces keys or locks out."""
    state = deployment.state
    # The rehearsal looks for the stack's waiting deployment, and must not find this one.
    with transaction.atomic():
        Deployment.objects.filter(pk=deployment.pk).update(state=Deployment.State.CANCELLED)
        withdrawal = preview_withdrawal(deployment, actor=actor)
        Deployment.objects.filter(pk=deployment.pk).update(state=state)
    if withdrawal.is_refused:
        parts = "; ".join(withdrawal.goes_on[:5])
        raise error(f"Deployment {deployment.pk} has nothing that can be cancelled: {parts}. It goes on. Nothing was changed.")

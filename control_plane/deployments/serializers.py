"""Deployments and stacks as JSON data, for commands and the webhook."""

from typing import Any

from control_plane.deployments.models import Deployment, Stack


def deployment_as_dict(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment with its changes and its end. Times are ISO 8601 in UTC, durations are in seconds.

    `covers` names the generations that it brings; `from` is past `to` where it brings the same one again.
    """
    return {
        "id": deployment.pk,
        "stack": deployment.stack.name,
        "state": deployment.state,
        "generation": deployment.generation,
        "covers": {"from": deployment.from_generation + 1, "to": deployment.generation},
        "doing": deployment.doing,
        "percent": deployment.percent,
        "resources_done": deployment.resources_done,
        "resources_total": deployment.resources_total,
        "created_at": _iso(deployment.created_at),
        "started_at": _iso(deployment.started_at),
        "finished_at": _iso(deployment.finished_at),
        "attempts": deployment.attempts,
        "not_before": _iso(deployment.not_before),
        "cloudformation_status": deployment.cloudformation_status,
        "outputs": deployment.outputs,
        "failure": deployment.failure,
        "error": deployment.error,
        "advice": deployment.advice,
        "stages": deployment.stages,
        "resources": deployment.resources,
        "plan": deployment.plan,
        "revert_drift": deployment.revert_drift,
        "approved_by": deployment.approved_by,
        "approved_at": _iso(deployment.approved_at),
        "cancel_requested_by": deployment.cancel_requested_by,
        "superseded_by": deployment.superseded_by_id,
        "changes": [
            {"generation": change.generation, "summary": change.summary, "actor": change.actor, "at": _iso(change.created_at)}
            for change in deployment.changes.all()
        ],
    }


def stack_as_dict(stack: Stack) -> dict[str, Any]:
    """Return a stack: what is wanted, what AWS holds, and what differs there."""
    return {
        "name": stack.name,
        "kind": stack.kind,
        "title": stack.title,
        "account": stack.account,
        "region": stack.region,
        "generation": stack.generation,
        "deployed_generation": stack.deployed_generation,
        "newer_generation": stack.newer_generation,
        "status": stack.status,
        "outputs": stack.outputs,
        "drift_state": stack.drift_state,
        "drift_checked_at": _iso(stack.drift_checked_at),
        "drift": stack.drift,
    }


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment else None

"""Deployments as data, for commands that print JSON."""

from typing import Any

from control_plane.deployments.models import Deployment


def deployment_as_dict(deployment: Deployment) -> dict[str, Any]:
    """What a deployment is, whom it is for and how it ended. Times are ISO 8601 in UTC."""
    return {
        "id": deployment.pk,
        "stack": deployment.stack.name,
        "state": deployment.state,
        "generation": deployment.generation,
        "doing": deployment.doing,
        "percent": deployment.percent,
        "resources_done": deployment.resources_done,
        "resources_total": deployment.resources_total,
        "created_at": _iso(deployment.created_at),
        "started_at": _iso(deployment.started_at),
        "finished_at": _iso(deployment.finished_at),
        "cloudformation_status": deployment.cloudformation_status,
        "outputs": deployment.outputs,
        "error": deployment.error,
        "advice": deployment.advice,
        "changes": [
            {"generation": change.generation, "summary": change.summary, "actor": change.actor, "at": _iso(change.created_at)}
            for change in deployment.changes.all()
        ],
    }


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment else None

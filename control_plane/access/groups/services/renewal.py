"""Redeployment of all stacks with the templates of the present release.

A worker deploys a stack when its generation changes, and a new release changes templates without that: after an upgrade this
brings the new templates to every group.
"""

from django.db import transaction
from django.db.models import QuerySet

from control_plane.access.groups.services.groups import request_group_deployment
from control_plane.access.groups.services.platform_stack import request_storage_deployment
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.requests import lock

SUMMARY = "Deploying what this release makes of it"


def renew_all(*, actor: Actor) -> list[Deployment]:
    """Redeploy every storage stack and then every group's stack, each in a transaction of its own.

    A second call joins deployments of the first that still wait. Raises PermissionDenied, or LimitReached for the first stack
    that AWS could not hold; deployments requested before it go on.
    """
    require_administrator(actor)
    ordered = _to_renew().order_by("-kind", "pk").values_list("pk", flat=True)
    return [deployment for pk in list(ordered) if (deployment := _renew(pk, actor))]


def _to_renew() -> QuerySet[Stack]:
    """Return the stacks that AWS holds or is to hold."""
    return Stack.objects.filter(is_retired=False, generation__gt=0)


def _renew(stack_id: int, actor: Actor) -> Deployment | None:
    with transaction.atomic():
        stack = lock(stack_id)
        # A change made on AWS outside Cohort waits for a decision: deploying would undo it unasked.
        if stack.is_retired or stack.needs_decision:
            return None
        if stack.kind == Stack.Kind.PLATFORM:
            deployment = request_storage_deployment(stack, SUMMARY, actor)
        else:
            deployment = request_group_deployment(stack.group, SUMMARY, actor)
        record(actor, "stack.renew", stack.name, deployment=deployment.pk)
    return deployment

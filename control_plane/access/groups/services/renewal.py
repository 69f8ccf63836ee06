"""Deploy stacks anew as the present release makes them, though nothing that is wanted has changed.

A worker deploys a stack when its generation changes, and a new release changes templates without that: after an upgrade this
brings them to every group.
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
    """Have every storage stack and then every group's stack deployed anew, each in a transaction of its own.

    A second call while the first one's deployments wait joins them. Raises PermissionDenied, or LimitReached for the first stack
    that AWS could not hold; those before it go on.
    """
    require_administrator(actor)
    ordered = _to_renew().order_by("-kind", "pk").values_list("pk", flat=True)
    return [deployment for pk in list(ordered) if (deployment := _renew(pk, actor))]


def _to_renew() -> QuerySet[Stack]:
    """Stacks that AWS holds, or has been asked to."""
    return Stack.objects.filter(is_retired=False, generation__gt=0)


def _renew(stack_id: int, actor: Actor) -> Deployment | None:
    with transaction.atomic():
        stack = lock(stack_id)
        # What somebody else changed on AWS waits for a person: deploying over it would undo that unasked.
        if stack.is_retired or stack.needs_decision:
            return None
        if stack.kind == Stack.Kind.PLATFORM:
            deployment = request_storage_deployment(stack, SUMMARY, actor)
        else:
            deployment = request_group_deployment(stack.group, SUMMARY, actor)
        record(actor, "stack.renew", stack.name, deployment=deployment.pk)
    return deployment

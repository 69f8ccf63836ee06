"""Requests for a lockout, by the sweep, a run, or a change of a group. Workers carry it out (`lockout`)."""

from django.db.models import QuerySet

from control_plane.deployments.models import Deployment, Stack, StoredManifest
from control_plane.deployments.tasks import deny_now
from stacks import denials
from stacks.manifest import GroupManifest

MAX_GROUPS_AT_ONCE = 50


def adds_denials(before: GroupManifest | None, after: GroupManifest) -> bool:
    """Return whether the later of two manifests of a group denies anything that the earlier did not, or takes a key away."""
    if before is None:
        return False
    held = denials.all_denials(before)
    return any(denial not in held for denial in denials.all_denials(after)) or bool(before.key_holders - after.key_holders)


def deny_pending() -> None:
    """Request the denials of groups whose denying manifest is not deployed yet, MAX_GROUPS_AT_ONCE at most. For the sweep."""
    for stack in _behind().order_by("?")[:MAX_GROUPS_AT_ONCE]:
        _enqueue_if_due(stack)


def deny_again(deployment: Deployment) -> None:
    """Request the denials of one group again, after CloudFormation wrote a principal, maybe of an older generation. For a run."""
    if stack := _behind().filter(pk=deployment.stack_id).first():
        _enqueue_if_due(stack)


def _behind() -> QuerySet[Stack]:
    return Stack.objects.out_of_step().filter(kind=Stack.Kind.GROUP, deployed_generation__gt=0)


def _enqueue_if_due(stack: Stack) -> None:
    deployed, wanted = (
        StoredManifest.objects.group_at(stack, stack.deployed_generation),
        StoredManifest.objects.group_at(stack, stack.generation),
    )
    if wanted is not None and adds_denials(deployed, wanted):
        deny_now.enqueue(stack.pk)

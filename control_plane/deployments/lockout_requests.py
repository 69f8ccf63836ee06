"""Requests to shut people out of AWS at once: by the sweep, a run, or whoever changes a group. Workers do it (`lockout`)."""

from django.db.models import QuerySet

from control_plane.deployments.models import Deployment, Stack, StoredManifest
from control_plane.deployments.tasks import deny_now
from stacks.manifest import GroupManifest, denials

MAX_AT_ONCE = 50


def shuts_out_more(before: GroupManifest | None, after: GroupManifest) -> bool:
    """Whether the later of two manifests of a group denies anything that the earlier did not, or takes a key away."""
    if before is None:
        return False
    held = denials.all_denials(before)
    return any(one not in held for one in denials.all_denials(after)) or bool(before.key_holders - after.key_holders)


def deny_pending() -> None:
    """For the sweep: as long as the manifest that denies is not deployed, what it denies is put again."""
    for stack in _behind().order_by("?")[:MAX_AT_ONCE]:
        _enqueue_if_due(stack)


def deny_again(deployment: Deployment) -> None:
    """For a run: CloudFormation wrote a principal, maybe in a way that is behind what is wanted by now. It is put again."""
    if stack := _behind().filter(pk=deployment.stack_id).first():
        _enqueue_if_due(stack)


def _behind() -> QuerySet[Stack]:
    return Stack.objects.out_of_step().filter(kind=Stack.Kind.GROUP, deployed_generation__gt=0)


def _enqueue_if_due(stack: Stack) -> None:
    deployed, wanted = (
        StoredManifest.objects.group_at(stack, stack.deployed_generation),
        StoredManifest.objects.group_at(stack, stack.generation),
    )
    if wanted is not None and shuts_out_more(deployed, wanted):
        deny_now.enqueue(stack.pk)

"""Asking for a deployment: a new generation, its manifest and the wake-up of a worker, in the caller's transaction."""

from collections.abc import Callable

from django.db import transaction

from control_plane.audit.actors import Actor
from control_plane.audit.models import record
from control_plane.deployments.models import Change, Deployment, Stack, StoredManifest
from control_plane.deployments.tasks import reconcile
from stacks.manifest import Manifest


class NothingToRetry(ValueError):
    """There is nothing to deploy again."""


MakeManifest = Callable[[int], Manifest]


def lock(stack_id: int) -> Stack:
    """The stack's row, locked until the transaction ends, so that changes to one stack follow each other."""
    return Stack.objects.select_for_update().get(pk=stack_id)


def request_deployment(stack: Stack, *, make_manifest: MakeManifest, summary: str, actor: Actor) -> Deployment:
    """Bump the locked `stack`'s generation, store its manifest and have it deployed.

    `make_manifest` is called with the new generation, after the caller's own changes. The change joins the deployment that
    waits already, or starts one. Must be called within a transaction; if that is rolled back, nothing was asked for.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("request_deployment needs the transaction of the change itself.")
    stack.generation += 1
    stack.save(update_fields=["generation"])
    manifest = make_manifest(stack.generation)
    StoredManifest.objects.create(stack=stack, generation=stack.generation, text=manifest.to_json())
    deployment = queue_again(stack)
    Change.objects.create(
        deployment=deployment, generation=stack.generation, summary=summary, actor=actor.label, actor_user=actor.user
    )
    return deployment


def deploy_again(deployment: Deployment, *, actor: Actor) -> Deployment:
    """Deploy the present generation of a failed deployment's stack once more.

    Raises NothingToRetry if nothing is wrong with the stack, or something is on its way already.
    """
    with transaction.atomic():
        stack = lock(deployment.stack_id)
        if stack.is_up_to_date:
            raise NothingToRetry(f"{stack.title} is up to date: AWS holds what is wanted. Nothing was started.")
        if open_one := Deployment.objects.open().filter(stack=stack).first():
            raise NothingToRetry(f"Deployment {open_one.pk} of {stack.title} is on its way already. Nothing more was started.")
        successor = queue_again(stack)
        Change.objects.create(
            deployment=successor,
            generation=stack.generation,
            summary=f"Deploying {stack.title} again",
            actor=actor.label,
            actor_user=actor.user,
        )
        record(actor, "deployment.retry", stack.name, before={"deployment": deployment.pk}, deployment=successor.pk)
    return successor


def queue_again(stack: Stack) -> Deployment:
    """The deployment that waits for the stack, made if there is none, and a worker's wake-up. Needs a transaction."""
    deployment, created = Deployment.objects.get_or_create(
        stack=stack, state=Deployment.State.QUEUED, defaults={"generation": stack.generation}
    )
    if not created:
        deployment.generation = stack.generation
        deployment.save(update_fields=["generation"])
    reconcile.enqueue()
    return deployment

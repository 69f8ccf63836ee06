"""Requests for deployments: a new generation, its manifest and its run, in the caller's transaction."""

import time
from collections.abc import Callable

from django.db import transaction
from django.utils import timezone

from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused
from control_plane.deployments import counters
from control_plane.deployments.announcements import announce
from control_plane.deployments.models import Change, Deployment, DriftState, Stack, StoredManifest
from control_plane.deployments.plans import ends_sooner
from control_plane.deployments.published import published_manifest
from control_plane.deployments.tasks import check_drift
from stacks.manifest import GroupManifest, Manifest, PlatformManifest, parse


class NothingToRetry(Refused):
    """There is nothing to deploy again."""


class NotCancellable(Refused):
    """The deployment has ended, or is being cancelled already."""


MakeManifest = Callable[[int], Manifest]


def lock(stack_id: int) -> Stack:
    """Lock the stack's row until the transaction ends, so that changes to one stack follow each other, and return it."""
    return Stack.objects.select_for_update().get(pk=stack_id)


def request_deployment(stack: Stack, *, make_manifest: MakeManifest, summary: str, actor: Actor) -> Deployment:
    """Bump the locked `stack`'s generation, store its manifest and have it deployed.

    `make_manifest` is called with the new generation, after the caller's own changes. The change joins the deployment that
    waits already, or adds one. Must be called within a transaction; if that is rolled back, nothing was requested.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("request_deployment needs the transaction of the change itself.")
    stack.generation += 1
    stack.save(update_fields=["generation"])
    manifest = make_manifest(stack.generation)
    StoredManifest.objects.create(stack=stack, generation=stack.generation, text=manifest.to_json())
    deployment = queue_deployment(stack)
    _add_change(deployment, summary, actor)
    return deployment


def deploy_again(deployment: Deployment, *, actor: Actor) -> Deployment:
    """Deploy the present generation of an ended deployment's stack once more.

    Raises NothingToRetry if nothing is wrong with the stack, or something is on its way already; PermissionDenied.
    """
    require_administrator(actor)
    with transaction.atomic():
        stack = lock(deployment.stack_id)
        if stack.is_up_to_date:
            raise NothingToRetry(f"{stack.title} is up to date. Nothing was started.")
        _refuse_open(stack)
        successor = queue_deployment(stack)
        _add_change(successor, f"Deploying {stack.title} again", actor)
        record(actor, "deployment.retry", stack.name, before={"deployment": deployment.pk}, deployment=successor.pk)
    return successor


def retry_all(*, actor: Actor) -> list[Deployment]:
    """Deploy every stack again that is out of step with nothing on its way. Returns the new runs. Raises PermissionDenied."""
    require_administrator(actor)
    started = []
    for stack in Stack.objects.out_of_step():
        last = stack.deployments.order_by("-pk").first()
        if last is None:
            continue
        try:
            started.append(deploy_again(last, actor=actor))
        except NothingToRetry:
            # Somebody, or a worker, has queued it meanwhile.
            continue
    return started


def request_repair(stack: Stack, *, actor: Actor) -> Deployment:
    """Have AWS put back whatever was changed there outside Cohort. Raises NothingToRetry or PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        stack = lock(stack.pk)
        _refuse_open(stack)
        if stack.needs_decision:
            raise NothingToRetry(
                f"AWS holds a newer generation of {stack.title} than the database. Nothing was started; "
                "choose “Deploy what the database says” if that is to be undone."
            )
        if not stack.generation:
            raise NothingToRetry(f"Nothing was ever asked for {stack.title}. Nothing was started.")
        deployment = queue_deployment(stack)
        deployment.revert_drift = True
        deployment.save(update_fields=["revert_drift"])
        _add_change(deployment, f"Repairing {stack.title}", actor)
        record(actor, "stack.repair", stack.name, before={"drift": stack.drift_state}, deployment=deployment.pk)
    return deployment


def request_check(stack: Stack, *, actor: Actor) -> None:
    """Have a worker check the stack for drift soon. Raises PermissionDenied."""
    require_administrator(actor)
    Stack.objects.filter(pk=stack.pk).update(drift_state=DriftState.CHECKING, drift_checked_at=timezone.now())
    record(actor, "stack.check", stack.name)
    check_drift.enqueue(stack.pk)


def deploy_ours(stack: Stack, *, actor: Actor) -> Deployment:
    """Have AWS hold what this database says after all; what AWS has beyond it is lost. Raises NothingToRetry, PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        stack = lock(stack.pk)
        if not stack.newer_generation:
            raise NothingToRetry(f"AWS holds nothing of {stack.title} that the database does not know. Nothing was started.")
        newer = stack.newer_generation
        ours = _keeping_versions(
            parse(StoredManifest.objects.get(stack=stack, generation=stack.generation).text), published_manifest(stack)
        )
        # Above AWS's generation, so that none ever names two manifests.
        stack.generation = max(stack.generation, newer)
        stack.known_generation, stack.newer_generation = newer, 0
        stack.save(update_fields=["generation", "known_generation", "newer_generation"])
        deployment = request_deployment(
            stack,
            make_manifest=lambda generation: _again(ours, generation),
            summary=f"Deploying what the database says of {stack.title}",
            actor=actor,
        )
        record(actor, "stack.deploy_ours", stack.name, before={"on_aws": newer}, deployment=deployment.pk)
    return deployment


def announce_cancelled(deployment: Deployment) -> None:
    """Announce and count a cancelled deployment, in the transaction that records the end."""
    announce(deployment, Deployment.State.CANCELLED.value)
    counters.add("outcome", Deployment.State.CANCELLED.value)


def queue_deployment(stack: Stack) -> Deployment:
    """Return the waiting deployment of the locked stack, adding it if there is none. Needs a transaction.

    One that waited for approval, or for a further try, is reset: what is wanted has changed since.
    """
    deployment = Deployment.objects.filter(stack=stack, state__in=Deployment.WAITING).first()
    if deployment is None:
        return Deployment.objects.create(stack=stack, generation=stack.generation, from_generation=stack.deployed_generation)
    deployment.generation = stack.generation
    deployment.state, deployment.not_before, deployment.attempts = Deployment.State.QUEUED, None, 0
    deployment.plan, deployment.error, deployment.advice, deployment.failure = {}, "", "", ""
    deployment.save(update_fields=["generation", "state", "not_before", "attempts", "plan", "error", "advice", "failure"])
    return deployment


def _add_change(deployment: Deployment, summary: str, actor: Actor) -> None:
    Change.objects.create(
        deployment=deployment,
        generation=deployment.generation,
        summary=summary,
        actor=actor.label,
        actor_user=actor.user,
    )


def _refuse_open(stack: Stack) -> None:
    if open_deployment := Deployment.objects.open().filter(stack=stack).first():
        raise NothingToRetry(f"Deployment {open_deployment.pk} of {stack.title} is on its way already. Nothing more was started.")


def _keeping_versions(ours: Manifest, theirs: Manifest | None) -> Manifest:
    """Return our manifest, with earlier versions kept at least as long as by AWS's: nobody has confirmed that they end sooner."""
    if not (isinstance(ours, PlatformManifest) and isinstance(theirs, PlatformManifest)):
        return ours
    if not ends_sooner(theirs.earlier_versions_days, ours.earlier_versions_days):
        return ours
    return ours.model_copy(update={"earlier_versions_days": theirs.earlier_versions_days})


def _again(manifest: Manifest, generation: int) -> Manifest:
    """Return the manifest for a later generation. Members known to AWS alone cannot be named, so every open session ends."""
    changes: dict[str, int] = {"generation": generation}
    if isinstance(manifest, GroupManifest):
        changes["sessions_not_before"] = int(time.time())
    return manifest.model_copy(update=changes)

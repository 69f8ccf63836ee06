"""The platform's own stack: the analysis buckets, and the boundary of everyone who may use them."""

from django.db import transaction

from control_plane.audit.actors import Actor
from control_plane.audit.models import record
from control_plane.config import config
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from control_plane.deployments.requests import deploy_again, lock, request_deployment
from control_plane.groups.services.manifests import platform_manifest
from stacks.manifest import names


def origins() -> tuple[str, ...]:
    """The web origins whose pages may use the buckets: the control plane's own."""
    return (config().site_url.rstrip("/"),)


def platform_stack() -> Stack:
    """The platform's stack in the account and region that new things are made in."""
    stack, _ = Stack.objects.get_or_create(
        name=names.PLATFORM_STACK,
        defaults={
            "kind": Stack.Kind.PLATFORM,
            "title": "the platform",
            "account": config().cohort_account,
            "region": config().cohort_region,
        },
    )
    return stack


def sync_platform(*, actor: Actor) -> Deployment | None:
    """Have the platform deployed if what is wanted differs from what was last asked for, or that never arrived.

    Returns the deployment that brings it, or None if AWS holds what is wanted.
    """
    with transaction.atomic():
        stack = lock(platform_stack().pk)
        wanted = platform_manifest(stack, stack.generation or 1, origins())
        last = StoredManifest.objects.filter(stack=stack, generation=stack.generation).first()
        if last and last.text == wanted.to_json():
            return None if stack.is_up_to_date else _open_or_again(stack, actor)
        deployment = request_deployment(
            stack,
            make_manifest=lambda generation: platform_manifest(stack, generation, origins()),
            summary="Setting the platform up",
            actor=actor,
        )
        record(actor, "platform.sync", stack.name, deployment=deployment.pk)
    return deployment


def request_storage_deployment(stack: Stack, summary: str, actor: Actor) -> Deployment:
    """Have a storage stack's present rows deployed; it must be locked. See `request_deployment`. Raises LimitReached."""
    return request_deployment(
        stack,
        make_manifest=lambda generation: platform_manifest(stack, generation, origins()),
        summary=summary,
        actor=actor,
    )


def _open_or_again(stack: Stack, actor: Actor) -> Deployment:
    """The deployment that is on its way, or else the last one, which failed, once more."""
    last = stack.deployments.order_by("-pk")[0]
    return last if last.is_open else deploy_again(last, actor=actor)

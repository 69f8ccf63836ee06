"""The platform's own stack: the analysis buckets, and the boundary of everyone who may use them."""

import json

from django.db import transaction

from control_plane.audit.actors import Actor
from control_plane.audit.models import record
from control_plane.config import config
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from control_plane.deployments.requests import lock, request_deployment
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
    """Have the platform deployed if what the settings and the database want differs from what was last asked for.

    Returns the deployment that was started, or None if there is nothing to change.
    """
    with transaction.atomic():
        stack = lock(platform_stack().pk)
        wanted = platform_manifest(stack, stack.generation or 1, origins())
        last = StoredManifest.objects.filter(stack=stack, generation=stack.generation).first()
        if last and json.loads(last.text) == json.loads(wanted.to_json()):
            return None
        deployment = request_deployment(
            stack,
            make_manifest=lambda generation: platform_manifest(stack, generation, origins()),
            summary="Setting the platform up",
            actor=actor,
        )
        record(actor, "platform.sync", stack.name, deployment=deployment.pk)
    return deployment

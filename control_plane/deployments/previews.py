"""Previews of changes: a rehearsal in a transaction that is rolled back, and a worker's comparison (`preview_worker`)."""

from collections.abc import Callable

from django.db import transaction

from control_plane.base.audit.actors import Actor
from control_plane.deployments.models import Deployment, Preview, StoredManifest
from control_plane.deployments.tasks import compute_preview

# Session key of the last preview's members by their usernames, which each rehearsal makes up anew.
SESSION_KEY = "preview_people"


class _RolledBack(Exception):
    """Rolls back the transaction of a rehearsal."""


def request_preview(perform: Callable[[], Deployment], *, actor: Actor) -> Preview:
    """Rehearse `perform`, which must change nothing but the database, and have a worker compute what it would change on AWS.

    Raises what `perform` raises: a request that would be refused is refused here too.
    """
    fields: dict[str, str] = {}
    try:
        with transaction.atomic():
            fields = _fields(perform())
            raise _RolledBack
    except _RolledBack:
        preview = Preview.objects.create(asked_by=actor.user, **fields)
    compute_preview.enqueue(preview.pk)
    return preview


def _fields(deployment: Deployment) -> dict[str, str]:
    stack = deployment.stack
    texts = dict(
        StoredManifest.objects.filter(stack=stack, generation__in=(stack.deployed_generation, deployment.generation)).values_list(
            "generation", "text"
        )
    )
    title = deployment.changes.order_by("-pk").values_list("summary", flat=True).first() or str(deployment)
    return {
        "stack_name": stack.name,
        "title": title,
        "manifest": texts[deployment.generation],
        "base": texts.get(stack.deployed_generation, ""),
    }

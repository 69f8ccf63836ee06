"""Storage stacks, which all groups share: they hold the analysis buckets. Choosing one for a new bucket, and deploying them."""

from django.db import transaction
from django.db.models import Count, Q

from control_plane.access.groups.services.earlier_versions import last_manifest, next_days
from control_plane.access.groups.services.manifests import platform_manifest
from control_plane.access.groups.signals import manifest_proposed
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.requests import deploy_again, lock, request_deployment
from stacks import names
from stacks.manifest import MAX_BUCKETS


def origins() -> tuple[str, ...]:
    """Return the web origins whose pages may use the buckets: the control plane's own."""
    return (config().site_url.rstrip("/"),)


def platform_stack() -> Stack:
    """Return the first storage stack, made if need be in the site's account and region."""
    place = Place.of_site()
    stack, _ = Stack.objects.get_or_create(
        name=names.PLATFORM_STACK,
        defaults={
            "kind": Stack.Kind.PLATFORM,
            "title": "the platform",
            "account": place.account,
            "region": place.region,
        },
    )
    return stack


def stack_with_room() -> Stack:
    """Return the storage stack for a new analysis, locked: the first with room, or a further one where there is none.

    Must be called within a transaction; concurrent callers wait for each other. Raises LimitReached.
    """
    first = lock(platform_stack().pk)
    held = Count("analyses", filter=Q(analyses__removed_generation__isnull=True))
    platforms = Stack.objects.filter(kind=Stack.Kind.PLATFORM).annotate(held=held).order_by("pk")
    stacks = list(platforms.values_list("pk", "name", "held"))
    with_room = next((pk for pk, _, buckets in stacks if buckets < MAX_BUCKETS), None)
    if with_room is not None:
        return first if with_room == first.pk else lock(with_room)
    return _further_stack(first, max(names.storage_number(name) for _, name, _ in stacks) + 1)


def sync_platform(*, actor: Actor, confirmed_days: int | None = None) -> list[Deployment]:
    """Deploy each storage stack whose desired state differs from its last manifest, or whose last manifest is not on AWS.

    `confirmed_days` are the confirmed EARLIER_VERSIONS_DAYS; without them, nothing ends sooner than before. Returns the
    deployments; none if everything is up to date.
    """
    platform_stack()
    stacks = list(Stack.objects.filter(kind=Stack.Kind.PLATFORM).order_by("pk").values_list("pk", flat=True))
    return [deployment for pk in stacks if (deployment := _sync(pk, actor, confirmed_days))]


def request_storage_deployment(stack: Stack, summary: str, actor: Actor) -> Deployment:
    """Request a deployment of a storage stack's present rows; it must be locked. See `request_deployment`. Raises LimitReached.

    Earlier versions are kept no shorter than before.
    """
    return request_with_days(stack, summary, actor, next_days(stack))


def request_with_days(stack: Stack, summary: str, actor: Actor, days: int | None) -> Deployment:
    """Request a deployment as `request_storage_deployment` does, keeping earlier versions so many days; None is for ever."""
    return request_deployment(
        stack,
        make_manifest=lambda generation: platform_manifest(stack, generation, origins(), days),
        summary=summary,
        actor=actor,
    )


def _sync(stack_id: int, actor: Actor, confirmed_days: int | None) -> Deployment | None:
    with transaction.atomic():
        stack = lock(stack_id)
        days = next_days(stack, confirmed_days)
        last = last_manifest(stack)
        # Compared as parsed: a manifest of an older release lacks fields that were added since, and means the same.
        if last and last == platform_manifest(stack, stack.generation or 1, origins(), days):
            return None if stack.is_up_to_date else _open_deployment_or_retry(stack, actor)
        deployment = request_with_days(stack, f"Setting {stack.title} up", actor, days)
        was = last.earlier_versions_days if last else None
        change = {"before": {"earlier_versions_days": was}, "after": {"earlier_versions_days": days}} if was != days else {}
        record(actor, "platform.sync", stack.name, deployment=deployment.pk, **change)
    return deployment


def _further_stack(first: Stack, number: int) -> Stack:
    stack = Stack.objects.create(
        name=names.storage_stack(number),
        kind=Stack.Kind.PLATFORM,
        title=f"storage stack {number}",
        account=first.account,
        region=first.region,
    )
    manifest_proposed.send(sender=Stack, stack=stack, before=None, after=None)
    return stack


def _open_deployment_or_retry(stack: Stack, actor: Actor) -> Deployment:
    """Return the open deployment, or else request the last one, which failed, again."""
    last = stack.deployments.order_by("-pk")[0]
    return last if last.is_open else deploy_again(last, actor=actor)

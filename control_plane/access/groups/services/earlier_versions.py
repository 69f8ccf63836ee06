"""Retention of deleted and replaced objects in the analysis buckets, in days: EARLIER_VERSIONS_DAYS, once confirmed.

A storage stack's last manifest holds the confirmed days. A shorter retention gets into a manifest only by its own confirmation;
a longer one with any next deployment.
"""

from dataclasses import dataclass

from django.db.models import F

from control_plane.access.groups.models import Analysis
from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.deployments.models import Stack, StoredManifest
from control_plane.deployments.plans import ends_sooner
from stacks import names
from stacks.manifest import PlatformManifest, parse


@dataclass(frozen=True)
class Proposal:
    """Unconfirmed setting that would end earlier versions sooner than now, and the buckets in which it would."""

    days: int
    buckets: tuple[str, ...]
    place: Place

    @property
    def confirmation(self) -> str:
        """Text that has to be typed to confirm it."""
        return f"end after {self.days} days"


def proposal() -> Proposal | None:
    """Return the shorter retention that waits for confirmation; None if there is none."""
    days = config().earlier_versions_days
    stacks = Stack.objects.filter(kind=Stack.Kind.PLATFORM).order_by("pk")
    manifests = [manifest for manifest in map(last_manifest, stacks) if manifest]
    shortened = [manifest for manifest in manifests if manifest.buckets and ends_sooner(manifest.earlier_versions_days, days)]
    if days is None or not shortened:
        return None
    buckets = tuple(bucket for manifest in shortened for bucket in manifest.buckets)
    return Proposal(days, buckets, Place(shortened[0].account, shortened[0].region))


def next_days(stack: Stack, confirmed_days: int | None = None) -> int | None:
    """Return the days for the stack's next manifest; `confirmed_days` have just been confirmed."""
    wanted = config().earlier_versions_days
    # A further stack takes the days of the first one.
    last = last_manifest(stack) or last_manifest(Stack.objects.filter(name=names.PLATFORM_STACK).first())
    if last is None or not last.buckets or confirmed_days == wanted or not ends_sooner(last.earlier_versions_days, wanted):
        return wanted
    return last.earlier_versions_days


def days_after_cancelling(stack: Stack) -> int | None:
    """Return the days for the next manifest where the deployment that was to end earlier versions sooner is cancelled."""
    last, held = last_manifest(stack), _manifest_at(stack, stack.deployed_generation)
    is_taken_back = last and held and held.buckets and ends_sooner(held.earlier_versions_days, last.earlier_versions_days)
    return held.earlier_versions_days if held and is_taken_back else next_days(stack)


def last_manifest(stack: Stack | None) -> PlatformManifest | None:
    """Return the last manifest requested of a storage stack; None if there is none."""
    text = StoredManifest.objects.filter(stack=stack).order_by("-generation").values_list("text", flat=True).first()
    return _parse_platform(text)


def kept_days(analysis: Analysis) -> int | None:
    """Return for how many days the analysis's bucket on AWS keeps earlier versions; None is for ever. In one query."""
    held = StoredManifest.objects.filter(stack__analyses=analysis, generation=F("stack__deployed_generation"))
    manifest = _parse_platform(held.values_list("text", flat=True).first())
    return manifest.earlier_versions_days if manifest else None


def _manifest_at(stack: Stack, generation: int) -> PlatformManifest | None:
    return _parse_platform(StoredManifest.objects.text_at(stack, generation))


def _parse_platform(text: str | None) -> PlatformManifest | None:
    manifest = parse(text) if text else None
    return manifest if isinstance(manifest, PlatformManifest) else None

"""How long S3 keeps what was deleted or replaced in the analysis buckets, as EARLIER_VERSIONS_DAYS says and somebody confirmed.

What a storage stack's last manifest says was confirmed. A setting that ends something sooner comes into a manifest by its own
confirmation alone; one that keeps it longer, with any next deployment.
"""

from dataclasses import dataclass

from django.db.models import F

from control_plane.access.groups.models import Analysis
from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.deployments.models import Stack, StoredManifest
from control_plane.deployments.plans import ends_sooner
from stacks.manifest import PlatformManifest, names, parse


@dataclass(frozen=True)
class Proposal:
    """A setting that would end earlier versions sooner than now, and the buckets in which it would."""

    days: int
    buckets: tuple[str, ...]
    place: Place

    @property
    def confirmation(self) -> str:
        """What somebody has to type."""
        return f"end after {self.days} days"


def proposal() -> Proposal | None:
    """What waits for a confirmation, or None."""
    days = config().earlier_versions_days
    asked = [one for one in map(last_manifest, Stack.objects.filter(kind=Stack.Kind.PLATFORM).order_by("pk")) if one]
    shortened = [one for one in asked if one.buckets and ends_sooner(one.earlier_versions_days, days)]
    if days is None or not shortened:
        return None
    return Proposal(
        days, tuple(bucket for one in shortened for bucket in one.buckets), Place(shortened[0].account, shortened[0].region)
    )


def next_days(stack: Stack, confirmed_days: int | None = None) -> int | None:
    """The days for the stack's next manifest; `confirmed_days` are those that somebody has just confirmed."""
    wanted = config().earlier_versions_days
    # A further stack is made as the first one is.
    last = last_manifest(stack) or last_manifest(Stack.objects.filter(name=names.PLATFORM_STACK).first())
    if last is None or not last.buckets or confirmed_days == wanted or not ends_sooner(last.earlier_versions_days, wanted):
        return wanted
    return last.earlier_versions_days


def days_without(stack: Stack) -> int | None:
    """The days for the next manifest where the deployment that was to end earlier versions sooner is cancelled."""
    last, held = last_manifest(stack), _manifest(stack, stack.deployed_generation)
    is_taken_back = last and held and held.buckets and ends_sooner(held.earlier_versions_days, last.earlier_versions_days)
    return held.earlier_versions_days if held and is_taken_back else next_days(stack)


def last_manifest(stack: Stack | None) -> PlatformManifest | None:
    """What was last asked for of a storage stack."""
    text = StoredManifest.objects.filter(stack=stack).order_by("-generation").values_list("text", flat=True).first()
    return _platform(text)


def kept_days(analysis: Analysis) -> int | None:
    """How many days the analysis's bucket on AWS keeps what was deleted or replaced; None for ever. In one query."""
    held = StoredManifest.objects.filter(stack__analyses=analysis, generation=F("stack__deployed_generation"))
    manifest = _platform(held.values_list("text", flat=True).first())
    return manifest.earlier_versions_days if manifest else None


def _manifest(stack: Stack, generation: int) -> PlatformManifest | None:
    return _platform(StoredManifest.objects.text_at(stack, generation))


def _platform(text: str | None) -> PlatformManifest | None:
    manifest = parse(text) if text else None
    return manifest if isinstance(manifest, PlatformManifest) else None

"""Expiry of earlier versions (deleted and replaced files): counted first, deployed only after a typed confirmation."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError
from django.db import transaction

from control_plane.access.groups.services.earlier_versions import Proposal
from control_plane.access.groups.services.platform_stack import sync_platform
from control_plane.base import aws
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Versions that are counted; beyond that the count says 'more than'. S3 lists them at about 10,000 a second.
MAX_COUNTED = 5_000_000
# S3 lists so many versions with one call (its API reference).
VERSIONS_PER_PAGE = 1000
# Pages between two progress messages.
PAGES_BETWEEN_REPORTS = 10

Tell = Callable[[str], None]


class NotConfirmed(Refused):
    """Text typed that does not confirm the expiry. Nothing was changed."""


class NotCounted(Refused):
    """Failed count of expiring versions. Nothing was changed."""


@dataclass
class ExpiringVersions:
    """Totals of earlier versions in some buckets: number, bytes, and the date of the oldest.

    `due_*` counts those that have been earlier versions for longer than the given days.
    `is_more` if there are more than are counted.
    """

    objects: int = 0
    bytes: int = 0
    oldest: datetime | None = None
    due_objects: int = 0
    due_bytes: int = 0
    is_more: bool = False

    def add(self, size: int, since: datetime, *, is_due: bool) -> None:
        """Count one more."""
        self.objects += 1
        self.bytes += size
        self.oldest = since if self.oldest is None else min(self.oldest, since)
        if is_due:
            self.due_objects += 1
            self.due_bytes += size


def count_expiring(buckets: Iterable[str], days: int, *, place: aws.Place, tell: Tell) -> ExpiringVersions:
    """Count the earlier versions in these buckets that a rule with so many days would expire. Raises NotCounted."""
    retries = BotoConfig(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4})
    client = aws.client("s3", place, config=retries)
    counted, now, seen = ExpiringVersions(), datetime.now(UTC), 0
    for bucket in buckets:
        tell(f"Counting in {bucket}")
        for number, page in enumerate(_pages(client, bucket), 1):
            for size, since in page.earlier:
                counted.add(size, since, is_due=expires_at(since, days) <= now)
            seen += page.listed
            if seen >= MAX_COUNTED:
                counted.is_more = True
                return counted
            if number % PAGES_BETWEEN_REPORTS == 0:
                tell(f"Counting in {bucket}: {counted.objects:,} earlier versions so far")
    return counted


def expires_at(since: datetime, days: int) -> datetime:
    """Return when S3 expires a version that became an earlier one at `since`: the first midnight (UTC) after its days.

    From S3's user guide, "Lifecycle rules based on an object's age".
    """
    over = since.astimezone(UTC) + timedelta(days=days)
    midnight = over.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == over else midnight + timedelta(days=1)


def sync_confirmed(*, wanted: Proposal, counted: ExpiringVersions, typed: str, actor: Actor) -> list[Deployment]:
    """Deploy the platform with the proposed days, after somebody confirmed what was `counted`; see `sync_platform`.

    Raises NotConfirmed.
    """
    if typed.strip() != wanted.confirmation:
        raise NotConfirmed(
            "Not confirmed: earlier versions are kept as before, and nothing was changed. To confirm, run it again with "
            f'--confirm "{wanted.confirmation}"; to deploy all the rest, with --keep-earlier-versions.'
        )
    details = {"objects": counted.objects, "bytes": counted.bytes, "oldest": counted.oldest.isoformat() if counted.oldest else None}
    with transaction.atomic():
        record(actor, "platform.end_earlier_versions", "the platform", days=wanted.days, **details)
        return sync_platform(actor=actor, confirmed_days=wanted.days)


@dataclass(frozen=True)
class _Page:
    """Page of S3's listing: number of versions and delete markers listed, and size and beginning of each earlier version."""

    listed: int
    earlier: list[tuple[int, datetime]]


def _pages(client: "S3Client", bucket: str) -> Iterator[_Page]:
    """Yield the bucket's versions, VERSIONS_PER_PAGE at a time; none if there is no such bucket. Raises NotCounted."""
    # A version became an earlier one when the next one of its key, or a delete marker, was written; that may stand a page before.
    newer: tuple[str, datetime] | None = None
    try:
        for answer in client.get_paginator("list_object_versions").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": VERSIONS_PER_PAGE}
        ):
            versions: list[Any] = list(answer.get("Versions", []))
            markers: list[Any] = list(answer.get("DeleteMarkers", []))
            earlier = []
            for version in sorted([*versions, *markers], key=_newest_first):
                if not version["IsLatest"] and "Size" in version:
                    since = newer[1] if newer and newer[0] == version["Key"] else version["LastModified"]
                    earlier.append((version["Size"], since))
                newer = (version["Key"], version["LastModified"])
            yield _Page(len(versions) + len(markers), earlier)
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error.response["Error"].get("Code") == "NoSuchBucket":
            return
        raise NotCounted(
            f"What earlier versions S3 keeps in {bucket} could not be counted: {error}. Nothing was changed; earlier versions are "
            "kept as before. Run it where the worker's rights are (`sudo cohort ...` on the host), once S3 answers."
        ) from error


def _newest_first(version: Any) -> tuple[bytes, bool, float]:
    """Return the sort key of S3's listing of versions: the key's bytes, and within a key the newest first."""
    return version["Key"].encode("utf-8", "surrogatepass"), not version["IsLatest"], -version["LastModified"].timestamp()

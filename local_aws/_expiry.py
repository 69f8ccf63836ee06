"""Expiry of earlier versions by lifecycle rules, once a day as on AWS: ministack keeps the rules, and ends nothing.

Rules for anything else (current versions, other storage classes, unfinished uploads) are not applied: nothing here needs them.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from ministack.core.responses import get_region, request_scope
from ministack.services import s3

logger = logging.getLogger("local_aws")

SECONDS_BETWEEN = 0.5
Versions = list[dict[str, Any]]


async def expire_daily(stop: asyncio.Event, clock: Path) -> None:
    """Apply the rules at the start and after each midnight (UTC), until `stop`; `clock` may hold another time than now."""
    day = None
    while not stop.is_set():
        now = _now(clock)
        if now.date() != day:
            day = now.date()
            expire(now)
        try:
            await asyncio.wait_for(stop.wait(), SECONDS_BETWEEN)
        except TimeoutError:
            continue


def expire(now: datetime) -> None:
    """End the versions that have expired by the rules of every bucket."""
    ruled = {place: _rules_for_versions(rules) for place, rules in s3._bucket_lifecycle._data.items()}
    ruled = {place: rules for place, rules in ruled.items() if rules}
    for account, (bucket, key) in list(s3._object_versions._data):
        for rule in ruled.get((account, bucket), ()):
            if key.startswith(rule.get("Filter", {}).get("Prefix", "")):
                with request_scope(account, get_region()):
                    _apply(rule, bucket, key, now)


def _rules_for_versions(rules: Any) -> list[Mapping[str, Any]]:
    """Return the rules that end versions or delete markers, and choose objects by no more than a prefix."""
    if not isinstance(rules, list):
        return []
    return [
        rule
        for rule in rules
        if rule.get("Status") == "Enabled"
        and ("NoncurrentVersionExpiration" in rule or rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker"))
        and rule.get("Filter", {}).keys() <= {"Prefix"}
        and "NewerNoncurrentVersions" not in rule.get("NoncurrentVersionExpiration", {})
    ]


def _apply(rule: Mapping[str, Any], bucket: str, key: str, now: datetime) -> None:
    if days := rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"):
        for version_id in _over(s3._object_versions.get((bucket, key), []), days, now):
            _end(bucket, key, version_id)
    left = s3._object_versions.get((bucket, key), [])
    is_expired_marker = len(left) == 1 and left[0].get("is_delete_marker")
    if is_expired_marker and rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker"):
        _end(bucket, key, left[0]["version_id"])


def _over(versions: Versions, days: int, now: datetime) -> Iterable[str]:
    """Return the ids of versions superseded at least so many days ago: counted to the midnight after their successor."""
    return [
        version["version_id"]
        for version, successor in pairwise(versions)
        if _midnight_after(datetime.fromisoformat(successor["last_modified"]) + timedelta(days=days)) <= now
    ]


def _end(bucket: str, key: str, version_id: str) -> None:
    # What Object Lock holds is left to a later day, as on AWS.
    if s3._check_object_lock(bucket, key, {}, version_id) is None:
        s3._delete_object_version(s3._buckets[bucket], bucket, key, version_id)
        logger.info("ended %s of %s in %s by a lifecycle rule", version_id, key, bucket)


def _midnight_after(moment: datetime) -> datetime:
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == moment else midnight + timedelta(days=1)


def _now(clock: Path) -> datetime:
    try:
        return datetime.fromisoformat(clock.read_text().strip())
    except (OSError, ValueError):
        return datetime.now(UTC)

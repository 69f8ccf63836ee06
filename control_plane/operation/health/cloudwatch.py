"""Metrics of the account's alarms, sent to CloudWatch by the host. A metric that fails does not affect the others."""

import logging
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509
from django.db import DatabaseError
from django.utils import timezone

from control_plane.access.limits.headroom import list_headroom
from control_plane.base import aws
from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.base.email_url import LOOPBACK
from control_plane.base.errors import Refused
from control_plane.operation.backups.services import age
from control_plane.operation.health.figures import stacks_failed

logger = logging.getLogger("cohort.health")

NAMESPACE = "Cohort"
REQUEST_TIMEOUT_SECONDS = 10
# Stands for "never": CloudWatch accepts no infinity, and the alarm must fire all the same.
NEVER_SECONDS = 10 * 365 * 86_400.0


class NotPushed(Refused):
    """CloudWatch did not accept the metrics."""


def push() -> dict[str, float]:
    """Measure, send the values to CloudWatch, and return them. Raises NotPushed."""
    measured = measure()
    data: list[dict[str, Any]] = [
        {"MetricName": name, "Value": value, "Unit": MEASURES[name][0], "Timestamp": timezone.now()}
        for name, value in measured.items()
    ]
    try:
        aws.client("cloudwatch", Place.of_site()).put_metric_data(Namespace=NAMESPACE, MetricData=data)
    except (BotoCoreError, ClientError) as error:
        raise NotPushed(f"CloudWatch did not take the figures: {error}. Nothing was put; the next run tries again.") from error
    return measured


def measure() -> dict[str, float]:
    """Return the values by metric name; one that fails is left out, and logged."""
    measured = {}
    for name, (_, measure_one) in MEASURES.items():
        try:
            value = measure_one()
        except (DatabaseError, Refused, OSError, ValueError) as error:
            logger.warning("%s could not be measured: %s", name, error)
            continue
        if value is not None:
            measured[name] = value
    return measured


def backup_age() -> float:
    """Return the seconds since the newest backup in the store began."""
    return min(age.seconds_since(age.newest_stored()), NEVER_SECONDS)


def failed_deployments() -> float:
    """Return the number of stacks whose last deployment failed."""
    return float(stacks_failed())


def site_up() -> float:
    """Return 1 if `HEALTH_URL`, or else the site's own /readyz, answers that the site is ready; else 0."""
    url = config().health_url or f"{config().site_url.rstrip('/')}/readyz"
    try:
        with _opener(url).open(url, timeout=REQUEST_TIMEOUT_SECONDS) as answer:
            return 1.0 if answer.status == 200 else 0.0
    except (urllib.error.URLError, OSError):
        return 0.0


def _opener(url: str) -> urllib.request.OpenerDirector:
    # A proxy cannot reach a server that listens on this machine alone; None stands for the proxies of the environment.
    return urllib.request.build_opener(urllib.request.ProxyHandler({} if urlsplit(url).hostname in LOOPBACK else None))


def disk_used() -> float:
    """Return the percentage used of the disk that VAR_DIR is on."""
    usage = shutil.disk_usage(config().var_dir)
    return round(100 * usage.used / (usage.used + usage.free), 2)


def certificate_days() -> float | None:
    """Return the days until the certificate that nginx shows expires; None if the site has no file of it."""
    path = config().certificate_file
    if not path:
        return None
    certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
    return round((certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86_400, 2)


def quota_used() -> float | None:
    """Return the percentage used of the account's fullest quota, with requested changes; None before AWS was asked."""
    return max((float(quota.percent) for quota in list_headroom() if quota.limit is not None), default=None)


MEASURES: dict[str, tuple[str, Callable[[], float | None]]] = {
    "BackupAgeSeconds": ("Seconds", backup_age),
    "FailedDeployments": ("Count", failed_deployments),
    "SiteUp": ("Count", site_up),
    "DiskUsedPercent": ("Percent", disk_used),
    "QuotaUsedPercent": ("Percent", quota_used),
    "CertificateDaysLeft": ("Count", certificate_days),
}

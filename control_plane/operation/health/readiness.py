"""Readiness checks for a load balancer: few, cheap, and without secrets in their messages."""

import logging
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from control_plane.base.config import config
from control_plane.base.email_url import LOOPBACK
from control_plane.deployments.liveness import WORKER_SILENT_SECONDS, silent_before
from control_plane.deployments.models import Worker
from control_plane.notifications.failures import mail_problem

logger = logging.getLogger("cohort.health")

CONNECT_SECONDS = 2.0


class NotReady(RuntimeError):
    """A check failed. `problem` says what is wrong, `advice` what to do."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem)
        self.problem, self.advice = problem, advice


@dataclass(frozen=True)
class ReadinessCheck:
    """Result of a check."""

    name: str
    ok: bool
    problem: str = ""
    advice: str = ""


def check() -> list[ReadinessCheck]:
    """Run the checks in order, up to the first essential one that fails: later ones would fail for the same reason."""
    done: list[ReadinessCheck] = []
    for name, need in CHECKS.items():
        try:
            need()
        except NotReady as failure:
            done.append(ReadinessCheck(name, ok=False, problem=failure.problem, advice=failure.advice))
            if name not in ADVISORY:
                return done
            continue
        except DatabaseError as error:
            # The error's text may name the host or the account, so it is only logged.
            logger.warning("not ready: %s", error)
            advice = "See that the database runs and that DATABASE_URL is right; the log says more."
            return [*done, ReadinessCheck(name, ok=False, problem="The database does not answer.", advice=advice)]
        if need is not need_embedded_aws or config().aws_endpoint_url:
            done.append(ReadinessCheck(name, ok=True))
    return done


def as_dict(checks: list[ReadinessCheck]) -> dict[str, Any]:
    """Return the response: `{"ready": ..., "checks": [...]}`. A failed advisory check is listed, but the site counts as ready."""
    return {
        "ready": all(result.ok or result.name in ADVISORY for result in checks),
        "checks": [{name: value for name, value in asdict(result).items() if value != ""} for result in checks],
    }


def need_database() -> None:
    """Query the database. Raises DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


# A success is cached for the life of the process, an exception is not: another release starts new processes.
@lru_cache(maxsize=1)
def need_migrations() -> None:
    """Check that no migration of this release is missing. Raises NotReady."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady("The database is of another release: migrations are missing.", "Run `manage.py migrate`.")


def need_worker() -> None:
    """Check that a worker is alive. Raises NotReady."""
    if not Worker.objects.filter(seen_at__gte=silent_before(timezone.now())).exists():
        raise NotReady(
            f"No worker was seen for {WORKER_SILENT_SECONDS} s, so nothing is deployed; what people ask for waits.",
            "Start `manage.py worker`, or read its log if it runs.",
        )


def need_embedded_aws() -> None:
    """Check that the embedded AWS listens, if the site uses one. Raises NotReady. A real account is not called."""
    address = urlsplit(config().aws_endpoint_url)
    if address.hostname not in LOOPBACK:
        return
    try:
        with socket.create_connection((address.hostname or "", address.port or 80), timeout=CONNECT_SECONDS):
            return
    except OSError as error:
        raise NotReady(
            "The embedded AWS does not answer, so no file is reached and nothing is deployed.",
            "`make up` starts it again; if it does not, stop it and run it again. Its log is aws/aws.log under VAR_DIR.",
        ) from error


def need_mail() -> None:
    """Check that the last attempt to send an e-mail succeeded. Raises NotReady, without the mail server's own message."""
    if problem := mail_problem():
        raise NotReady(
            f"No e-mail gets out since {problem.since:%Y-%m-%d %H:%M} UTC: people get no links, and are told nothing.",
            "The health page says why; `manage.py notify test <e-mail>` tries it out. What waits is sent then.",
        )


CHECKS: dict[str, Callable[[], None]] = {
    "database": need_database,
    "migrations": need_migrations,
    "embedded AWS": need_embedded_aws,
    "worker": need_worker,
    "mail": need_mail,
}
# Reported, but no reason for a load balancer to drop the site, which works without.
ADVISORY = frozenset({"mail"})

"""Whether this process can serve people, for a load balancer: checks that are few, cheap, and tell no secret."""

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
    """A check failed: what is wrong, and what to do."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem)
        self.problem, self.advice = problem, advice


@dataclass(frozen=True)
class Check:
    """How one check ended."""

    name: str
    ok: bool
    problem: str = ""
    advice: str = ""


def check() -> list[Check]:
    """Make the checks in turn, until one fails that the site cannot do without: those after it would fail for the same reason."""
    done: list[Check] = []
    for name, need in CHECKS.items():
        try:
            need()
        except NotReady as failure:
            done.append(Check(name, ok=False, problem=failure.problem, advice=failure.advice))
            if name not in ADVISORY:
                return done
            continue
        except DatabaseError as error:
            # Its text may name the host or the account, so it goes to the log alone.
            logger.warning("not ready: %s", error)
            advice = "See that the database runs and that DATABASE_URL is right; the log says more."
            return [*done, Check(name, ok=False, problem="The database does not answer.", advice=advice)]
        if need is not need_embedded_aws or config().aws_endpoint_url:
            done.append(Check(name, ok=True))
    return done


def as_dict(checks: list[Check]) -> dict[str, Any]:
    """For the answer: `{"ready": ..., "checks": [...]}`. What the site can do without is told, and no reason to turn away."""
    return {
        "ready": all(one.ok or one.name in ADVISORY for one in checks),
        "checks": [{name: value for name, value in asdict(one).items() if value != ""} for one in checks],
    }


def need_database() -> None:
    """Ask the database for anything. Raises DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


# A success is remembered for the life of the process, a failure is not: another release brings new processes.
@lru_cache(maxsize=1)
def need_migrations() -> None:
    """See that no migration of this release is missing. Raises NotReady."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady("The database is of another release: migrations are missing.", "Run `manage.py migrate`.")


def need_worker() -> None:
    """See that a worker lives. Raises NotReady."""
    if not Worker.objects.filter(seen_at__gte=silent_before(timezone.now())).exists():
        raise NotReady(
            f"No worker was seen for {WORKER_SILENT_SECONDS} s, so nothing is deployed; what people ask for waits.",
            "Start `manage.py worker`, or read its log if it runs.",
        )


def need_embedded_aws() -> None:
    """See that the AWS of this machine listens, where the site is on one. Raises NotReady. A real account is not asked."""
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
    """See that the last e-mail that was tried got out. Raises NotReady. What the mail server said is for administrators alone."""
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
# Said, but no reason to send people elsewhere: the site does the rest of its work without.
ADVISORY = frozenset({"mail"})

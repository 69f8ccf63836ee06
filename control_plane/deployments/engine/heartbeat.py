"""Worker heartbeat: renews leases, and learns which runs lost theirs and which are to be cancelled."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from control_plane.base.config import config
from control_plane.deployments.engine import leases
from control_plane.deployments.models import Deployment, Worker

logger = logging.getLogger("cohort.heart")

BEAT_SECONDS = 1.0
# Interval of writing the worker's own row, which readiness and the health page read.
REPORT_SECONDS = 5.0
WORKERS_KEPT = timedelta(days=1)


class LeaseLost(RuntimeError):
    """The stack's lease is lost: another worker may have taken over, and this one must not touch the stack or its record."""


class Heartbeat:
    """Heartbeat in a thread of its own, so that no call to AWS, however slow, costs a lease."""

    def __init__(self, name: str, doing: Callable[[], str] = lambda: "") -> None:
        self._name, self._doing = name, doing
        self._held: dict[int, Deployment] = {}
        self._lost: set[int] = set()
        self._cancelled: dict[int, str] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._last_beat, self._reported_at = time.monotonic(), 0.0
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Add the worker's row, and start the heartbeat."""
        Worker.objects.update_or_create(name=self._name, defaults={"started_at": timezone.now(), "seen_at": timezone.now()})
        self._thread.start()

    def stop(self) -> None:
        """Stop the heartbeat, and delete the worker's row: it has ended as it should."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(BEAT_SECONDS * 3)
        Worker.objects.filter(name=self._name).delete()

    def hold(self, deployment: Deployment) -> None:
        """Renew this run's lease from now on."""
        with self._lock:
            self._held[deployment.pk] = deployment

    def release(self, deployment: Deployment) -> None:
        """Stop renewing this run's lease."""
        with self._lock:
            self._held.pop(deployment.pk, None)
            self._lost.discard(deployment.pk)
            self._cancelled.pop(deployment.pk, None)

    def check(self, deployment: Deployment) -> None:
        """Raise LeaseLost if this run's lease is gone, or may be: by our own clock it was not renewed in time."""
        if deployment.pk in self._lost or time.monotonic() - self._last_beat > config().cohort_lease_seconds:
            raise LeaseLost

    def cancelled_by(self, deployment: Deployment) -> str:
        """Return who asked to cancel this run; empty if nobody did."""
        return self._cancelled.get(deployment.pk, "")

    def beat(self) -> None:
        """Renew all leases, and record which runs lost theirs and which are to be cancelled."""
        began = time.monotonic()
        with self._lock:
            held = list(self._held.values())
        lost = leases.renew(held)
        # The time before the query: the leases are at least as fresh.
        self._last_beat = began
        to_cancel = Deployment.objects.filter(pk__in=[deployment.pk for deployment in held], cancel_requested_at__isnull=False)
        cancelled = dict(to_cancel.values_list("pk", "cancel_requested_by")) if held else {}
        with self._lock:
            self._lost |= lost & self._held.keys()
            self._cancelled = cancelled
        if began - self._reported_at >= REPORT_SECONDS:
            self._report()
            self._reported_at = began

    def _report(self) -> None:
        now, doing = timezone.now(), self._doing()[:400]
        Worker.objects.update_or_create(
            name=self._name,
            defaults={"seen_at": now, "doing": doing},
            create_defaults={"started_at": now, "seen_at": now, "doing": doing},
        )
        Worker.objects.filter(seen_at__lt=now - WORKERS_KEPT).delete()

    def _run(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            try:
                close_old_connections()
                self.beat()
            except DatabaseError:
                # The leases expire if this goes on, and every run then stops by itself.
                logger.warning("the database does not answer; the leases were not prolonged", exc_info=True)
        connection.close()

"""A worker's sign of life: keeps its leases, and learns which runs it lost and which somebody wants cancelled."""

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
# How often the worker's own row says that it lives; readiness and the health page read it.
SAY_SECONDS = 5.0
FORGET_AFTER = timedelta(days=1)


class LeaseLost(RuntimeError):
    """Another worker took the stack over; this one must not touch it, nor its record, any more."""


class Heartbeat:
    """Beats in a thread of its own, so that no call to AWS, however slow, costs a lease."""

    def __init__(self, name: str, doing: Callable[[], str] = lambda: "") -> None:
        self._name, self._doing = name, doing
        self._held: dict[int, Deployment] = {}
        self._lost: set[int] = set()
        self._cancelled: dict[int, str] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._last_beat, self._said = time.monotonic(), 0.0
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        Worker.objects.update_or_create(name=self._name, defaults={"started_at": timezone.now(), "seen_at": timezone.now()})
        self._thread.start()

    def stop(self) -> None:
        """Beat no more, and take the worker's row away: it has ended as it should."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(BEAT_SECONDS * 3)
        Worker.objects.filter(name=self._name).delete()

    def hold(self, deployment: Deployment) -> None:
        """Keep this run's lease from now on."""
        with self._lock:
            self._held[deployment.pk] = deployment

    def release(self, deployment: Deployment) -> None:
        """Its lease is kept no more."""
        with self._lock:
            self._held.pop(deployment.pk, None)
            self._lost.discard(deployment.pk)
            self._cancelled.pop(deployment.pk, None)

    def check(self, deployment: Deployment) -> None:
        """Raise LeaseLost if this run's lease is gone, or may be: our own clock says that we did not prolong it in time."""
        if deployment.pk in self._lost or time.monotonic() - self._last_beat > config().cohort_lease_seconds:
            raise LeaseLost

    def cancelled_by(self, deployment: Deployment) -> str:
        """Who wants this run cancelled; empty if nobody does."""
        return self._cancelled.get(deployment.pk, "")

    def beat(self) -> None:
        """Prolong all leases, and look who lost theirs and what is to be cancelled."""
        began = time.monotonic()
        with self._lock:
            held = list(self._held.values())
        lost = leases.prolong(held)
        # Counted from before the question: the lease is at least so fresh.
        self._last_beat = began
        wanted = Deployment.objects.filter(pk__in=[one.pk for one in held], cancel_requested_at__isnull=False)
        cancelled = dict(wanted.values_list("pk", "cancel_requested_by")) if held else {}
        with self._lock:
            self._lost |= lost & self._held.keys()
            self._cancelled = cancelled
        if began - self._said >= SAY_SECONDS:
            self._say()
            self._said = began

    def _say(self) -> None:
        now, doing = timezone.now(), self._doing()[:400]
        Worker.objects.update_or_create(
            name=self._name,
            defaults={"seen_at": now, "doing": doing},
            create_defaults={"started_at": now, "seen_at": now, "doing": doing},
        )
        Worker.objects.filter(seen_at__lt=now - FORGET_AFTER).delete()

    def _run(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            try:
                close_old_connections()
                self.beat()
            except DatabaseError:
                # The leases run out if this goes on, and every run then stops by itself.
                logger.warning("the database does not answer; the leases were not prolonged", exc_info=True)
        connection.close()

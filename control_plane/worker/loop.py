"""Worker loop: claims deployments and sweeps until it is stopped, with tasks in threads of their own."""

import logging
import threading
import time

from django.db import DatabaseError, close_old_connections
from django_tasks_db.management.commands.db_worker import Worker as TaskWorker

from control_plane.base.config import config
from control_plane.deployments.engine import leases
from control_plane.deployments.engine.engine import Engine
from control_plane.deployments.engine.upkeep import take_over_abandoned
from control_plane.deployments.tasks import URGENT
from control_plane.notifications.tasks import MESSAGES
from control_plane.worker.sweep import sweep

logger = logging.getLogger("cohort.worker")

POLL_SECONDS = 0.05
# A worker ends within 30 s of being asked to: runs under way may end in the first two thirds of that.
GRACE_SECONDS = 20.0
RECOVER_SECONDS = 2.0
PING_SECONDS = 10.0


class Worker:
    """Worker process: engine, task threads and loop. `stop` may be set from a signal handler."""

    def __init__(self, name: str = leases.WORKER, engine: Engine | None = None) -> None:
        self.stop = threading.Event()
        self.engine = engine or Engine(name)
        # Queues with a thread of their own: urgent tasks must not wait for long ones, and messages may be held up by other servers.
        self._tasks = [
            _task_worker("*", name, without=MESSAGES),
            *(_task_worker(queue, f"{queue}-{name}") for queue in (URGENT, MESSAGES)),
        ]
        self._due: dict[str, float] = {}

    def run(self, *, once: bool = False) -> bool:
        """Run until `stop` is set; with `once`, until nothing waits and nothing is under way.

        Returns whether all of its threads have ended.
        """
        logger.info("worker %s looks for deployments", self.engine.name)
        self.engine.start()
        tasks = [threading.Thread(target=self._do_tasks, args=(worker, once), name="tasks", daemon=True) for worker in self._tasks]
        for thread in tasks:
            thread.start()
        pings = threading.Thread(target=self._ping, name="pings", daemon=True)
        pings.start()
        try:
            self._loop(once)
            if once:
                for thread in tasks:
                    thread.join()
        finally:
            logger.info("worker %s stops", self.engine.name)
            for worker in self._tasks:
                worker.running = False
            self.stop.set()
            has_ended = self.engine.stop(GRACE_SECONDS)
            for thread in tasks:
                thread.join(2)
        return has_ended

    def _loop(self, once: bool) -> None:
        while not self.stop.is_set():
            try:
                close_old_connections()
                if self._is_due("recover", RECOVER_SECONDS):
                    take_over_abandoned()
                if self._is_due("sweep", config().cohort_sweep_seconds):
                    sweep()
                began = self.engine.claim_and_start()
            except DatabaseError:
                logger.warning("the database does not answer; looking again", exc_info=True)
                self.stop.wait(1)
                continue
            if began == 0 and once and self.engine.is_idle:
                return
            self.stop.wait(POLL_SECONDS)

    def _is_due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0):
            return False
        self._due[what] = now + seconds
        return True

    def _do_tasks(self, worker: TaskWorker, once: bool) -> None:
        worker.batch = once
        while worker.running:
            try:
                worker.run()
            except DatabaseError:
                logger.warning("the database does not answer; looking for tasks again", exc_info=True)
                time.sleep(1)
            if once:
                return

    def _ping(self) -> None:
        while self.engine.resident is not None and not self.stop.wait(PING_SECONDS):
            self.engine.resident.check()


def _task_worker(queue: str, name: str, *, without: str = "") -> TaskWorker:
    return TaskWorker(
        queue_names=[queue],
        excluded_queue_names=[without] if without else [],
        interval=0.2,
        batch=False,
        backend_name="default",
        startup_delay=False,
        max_tasks=None,
        worker_id=name[:64],
    )

"""`manage.py worker`: deploys what waits, until it is stopped."""

import logging
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from control_plane.deployments import claims
from control_plane.deployments.tasks import reconcile

logger = logging.getLogger("cohort.worker")


class Command(BaseCommand):
    """Runs django-tasks' own worker, after looking for what an earlier one left behind."""

    help = "Deploy what waits, until stopped (Ctrl-C or SIGTERM: the deployment under way is finished first)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--interval", type=float, default=0.2, help="Seconds between looks for new work (default 0.2).")
        parser.add_argument("--once", action="store_true", help="Do what waits now, then end.")

    def handle(self, *args: Any, **options: Any) -> None:
        logger.info("worker %s looks for deployments", claims.WORKER)
        reconcile.enqueue()
        if (expiry := claims.next_expiry()) is not None:
            # Somebody's lease is still running: look again when it has run out.
            reconcile.using(run_after=expiry).enqueue()
        call_command(
            "db_worker",
            interval=options["interval"],
            batch=options["once"],
            startup_delay=False,
            reload=False,
            worker_id=claims.WORKER,
            verbosity=0,
        )

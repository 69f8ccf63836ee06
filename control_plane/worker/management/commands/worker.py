"""`manage.py worker`: deploy what waits, until stopped."""

import logging
import os
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from control_plane.worker.loop import Worker

logger = logging.getLogger("cohort.worker")


class Command(BaseCommand):
    """Command that runs one worker, and logs what it is doing."""

    help = (
        "Deploy what waits, until stopped. Ctrl-C or SIGTERM: what is under way ends, or is handed over to the next worker, "
        "within 30 seconds."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Do what waits now, then end.")

    def handle(self, *args: Any, **options: Any) -> None:
        worker = Worker()

        def stop(number: int, frame: object) -> None:
            logger.info("asked to stop (%s)", signal.Signals(number).name)
            worker.stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        if not worker.run(once=options["once"]):
            # A thread still waits for an AWS that does not answer; its run was handed over, so the process ends without it.
            logging.shutdown()
            os._exit(0)

"""Following a retirement from a terminal, a group's or an analysis's: what both commands share."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, TypeVar

from control_plane.access.retirement.models import AnalysisRetirement, Retirement
from control_plane.base.polling import Changes, poll_until
from control_plane.base.terminal import EXIT_STILL_WAITING
from control_plane.deployments.models import Deployment
from control_plane.deployments.terminal import EXIT_DEPLOYMENT_FAILED, POLL_SECONDS, WAIT_SECONDS

AnyRetirement = TypeVar("AnyRetirement", Retirement, AnalysisRetirement)


def add_wait_options(parser: ArgumentParser) -> None:
    """Add --wait and --timeout, for a retirement goes on after its deployment."""
    parser.add_argument("--wait", action="store_true", help="Wait for its end; the exit status says whether it came.")
    parser.add_argument("--timeout", type=float, default=WAIT_SECONDS, help=f"Longest wait in seconds (default {WAIT_SECONDS}).")


def wait_for_end(
    options: dict[str, Any],
    read: Callable[[], AnyRetirement],
    describe: Callable[[AnyRetirement], str],
    write: Callable[[str], object],
) -> AnyRetirement:
    """Return the retirement as `read` has it: at once, or with --wait once it has ended or is stuck.

    Meanwhile, what `describe` says of it is written whenever it changes.
    """
    printed = Changes(write)
    return poll_until(
        read,
        lambda now: not now.is_open or _is_stuck(now),
        seconds=options["timeout"] if options["wait"] else 0,
        every=POLL_SECONDS,
        waiting=lambda now: printed.tell(describe(now)),
    )


def exit_unless_ended(options: dict[str, Any], retirement: Retirement | AnalysisRetirement) -> None:
    """End the command with the status that says why, if it waited for the end and that did not come."""
    if options["wait"] and retirement.is_open:
        sys.exit(EXIT_DEPLOYMENT_FAILED if _is_stuck(retirement) else EXIT_STILL_WAITING)


def _is_stuck(retirement: Retirement | AnalysisRetirement) -> bool:
    """Return whether the deployment that removes it from AWS failed or was cancelled, so that somebody has to act."""
    deployment = retirement.deployment
    ended = deployment is not None and deployment.state in (Deployment.State.FAILED, Deployment.State.CANCELLED)
    return ended and retirement.state == type(retirement).State.REMOVING

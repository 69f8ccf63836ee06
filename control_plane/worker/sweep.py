"""Periodic maintenance steps, in one list, and the sweep that runs them."""

import logging
from collections.abc import Callable

from django.db import DatabaseError

from control_plane.access.groups.services.expiry import end_due, remind_of_ends
from control_plane.access.groups.services.session_revocation import drop_past_cut_offs
from control_plane.access.groups.services.transfers import finish_transfers
from control_plane.access.keys.adopted import remove_requested_keys
from control_plane.access.keys.replaced_keys import end_overlaps, remind_of_old_keys
from control_plane.access.keys.schedule import start_due_checks
from control_plane.access.limits.schedule import read_limits_when_due
from control_plane.access.people.departures import erase_departed
from control_plane.access.people.removals import remove_inactive_access
from control_plane.access.retirement.schedule import continue_retirements
from control_plane.access.review.schedule import start_due_scans
from control_plane.access.review.sign_off import remind_of_reviews
from control_plane.access.rosters.services.waiting import recover_stuck
from control_plane.base.config import config
from control_plane.deployments.deployers._environment import clear_work_folder
from control_plane.deployments.drift_schedule import check_drift_by_night, compare_restored
from control_plane.deployments.engine.upkeep import forget_previews, requeue_out_of_step, take_over_abandoned
from control_plane.deployments.lockout_requests import deny_pending
from control_plane.notifications.outbox import deliver_due
from control_plane.research.jobs.schedule import check_open_jobs

logger = logging.getLogger("cohort.sweep")


def sweep() -> None:
    """Run every step once. Any number of workers may do so at the same time."""
    for step in STEPS:
        if step in IAM_CHECKS and not config().cohort_iam_checks:
            continue
        try:
            step()
        except DatabaseError:
            # The steps that follow would fail too; the worker waits for the database.
            raise
        except Exception:
            logger.exception("sweep: %s failed; the rest goes on, and it is tried again with the next sweep", step.__qualname__)


# In this order. Each is bounded, and does the rest in a later sweep.
STEPS: tuple[Callable[[], object], ...] = (
    take_over_abandoned,
    requeue_out_of_step,
    deny_pending,
    compare_restored,
    check_drift_by_night,
    finish_transfers,
    end_due,
    drop_past_cut_offs,
    remind_of_ends,
    end_overlaps,
    remove_requested_keys,
    remind_of_old_keys,
    start_due_checks,
    read_limits_when_due,
    start_due_scans,
    remind_of_reviews,
    continue_retirements,
    check_open_jobs,
    deliver_due,
    remove_inactive_access,
    recover_stuck,
    erase_departed,
    clear_work_folder,
    forget_previews,
)
# Steps that only read from IAM, and that nothing waits for.
IAM_CHECKS = frozenset({start_due_checks, read_limits_when_due, start_due_scans})

"""Cleaning steps: log lines of old deployments, and ended background tasks."""

from datetime import timedelta

from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from control_plane.base.cleaning import register_cleanup, remove_in_steps
from control_plane.base.config import config
from control_plane.deployments.models import LogLine


@register_cleanup("old log lines")
def remove_old_lines() -> int:
    """Remove the lines of deployments that ended long ago; the deployments and their changes stay. Returns how many."""
    before = timezone.now() - timedelta(days=config().cleanup_log_days)
    return remove_in_steps(LogLine.objects.filter(deployment__finished_at__lt=before))


@register_cleanup("ended tasks")
def remove_ended_tasks() -> int:
    """Remove the rows of tasks that succeeded or failed long ago. Returns how many."""
    before = timezone.now() - timedelta(days=config().cleanup_task_days)
    return remove_in_steps(DBTaskResult.objects.finished().filter(finished_at__lt=before))

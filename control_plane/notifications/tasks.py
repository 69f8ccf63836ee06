"""Telling people is a worker's work: a mail server that is slow or away holds up nothing else."""

from django_tasks import task


@task()
def deliver(notice_id: int, tries: int) -> None:
    """See `outbox.deliver`."""
    from control_plane.notifications.outbox import deliver as deliver_now

    deliver_now(notice_id, tries)

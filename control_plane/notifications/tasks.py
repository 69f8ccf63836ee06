"""Telling people is a worker's work: a mail server that is slow or away holds up nothing else.

The tasks have a queue of their own, and each worker a thread for it: a server that hangs holds up messages alone.
"""

from datetime import timedelta

from django_tasks import task

from control_plane.notifications import delivery

MESSAGES = "messages"
# How long a task that is enqueued has before the sweep enqueues another.
TASK_WAIT = timedelta(minutes=2)


@task(queue_name=MESSAGES)
def deliver(notice_id: int, tries: int) -> None:
    """See `delivery.deliver`."""
    delivery.deliver(notice_id, tries)

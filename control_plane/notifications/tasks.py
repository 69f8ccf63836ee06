"""Background task of delivery, so that a slow or absent mail server delays nothing else.

The tasks have a queue of their own, and each worker a thread for it: a server that hangs delays only messages.
"""

from datetime import timedelta

from django_tasks import task

from control_plane.notifications import delivery

MESSAGES = "messages"
# After this time the sweep enqueues another task.
TASK_WAIT = timedelta(minutes=2)


@task(queue_name=MESSAGES)
def deliver(notice_id: int, tries: int) -> None:
    """Run `delivery.deliver`."""
    delivery.deliver(notice_id, tries)

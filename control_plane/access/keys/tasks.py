"""What a worker does about keys, beside deploying."""

from django_tasks import task

from control_plane.access.groups.models import Group
from control_plane.access.keys.adopted import remove_requested


@task()
def check_group_keys(group_id: int) -> None:
    """See `checking.check_group`."""
    # For workers alone: whoever enqueues this needs none of what asks AWS.
    from control_plane.access.keys.checking import check_group

    check_group(Group.objects.select_related("stack").get(pk=group_id))


@task()
def remove_old_keys() -> None:
    """See `adopted.remove_requested`."""
    remove_requested()

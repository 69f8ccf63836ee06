"""Tasks about keys, besides deployments."""

from django_tasks import task

from control_plane.access.groups.models import Group
from control_plane.access.keys.adopted import remove_requested_keys


@task()
def check_group_keys(group_id: int) -> None:
    """Check a group's keys with IAM: see `checking.check_group`."""
    # For workers only: whoever enqueues this needs none of what asks AWS.
    from control_plane.access.keys.checking import check_group

    check_group(Group.objects.select_related("stack").get(pk=group_id))


@task()
def remove_old_keys() -> None:
    """Remove adopted keys: see `adopted.remove_requested_keys`."""
    remove_requested_keys()

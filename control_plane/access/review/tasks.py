"""Tasks of the access review: the web process may not ask IAM."""

import logging

from django_tasks import task

from control_plane.access.groups.models import Group

logger = logging.getLogger("cohort.review")


@task()
def scan_access(group_id: int | None) -> None:
    """Scan a group (see `scan.scan_group`); without one, see `scan.scan_outside_groups`.

    A failure is kept on the scan's row, and tried again when it is due.
    """
    # For workers alone: whoever enqueues this needs none of what asks AWS.
    from control_plane.access.review.scan import StackIsChanging, scan_group, scan_outside_groups
    from control_plane.base.aws import AwsFailure

    try:
        if group_id is None:
            scan_outside_groups()
        else:
            scan_group(Group.objects.select_related("stack").get(pk=group_id))
    except (AwsFailure, StackIsChanging) as error:
        logger.warning("the access review could not look: %s", error)


@task()
def remove_unmanaged(pk: int) -> None:
    """Remove an unmanaged resource: see `unmanaged_removal.remove_from_aws`."""
    # For workers alone: whoever enqueues this needs none of what asks AWS.
    from control_plane.access.review.unmanaged_removal import remove_from_aws

    remove_from_aws(pk)

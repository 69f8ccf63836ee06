"""What a worker does for the access review: the web process may not ask IAM."""

import logging

from django_tasks import task

from control_plane.access.groups.models import Group

logger = logging.getLogger("cohort.review")


@task()
def look_at_group(group_id: int | None) -> None:
    """See `looking.look`; without a group, `looking.look_outside`. What came in the way is on record, and tried again when due."""
    # For workers alone: whoever enqueues this needs none of what asks AWS.
    from control_plane.access.review.scan import NotNow, look, look_outside
    from control_plane.base.aws import AwsFailure

    try:
        if group_id is None:
            look_outside()
        else:
            look(Group.objects.select_related("stack").get(pk=group_id))
    except (AwsFailure, NotNow) as error:
        logger.warning("the access review could not look: %s", error)


@task()
def remove_unmanaged(pk: int) -> None:
    """See `removing.carry_out`."""
    # For workers alone: whoever enqueues this needs none of what asks AWS.
    from control_plane.access.review.removing import carry_out

    carry_out(pk)

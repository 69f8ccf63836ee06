"""Resources and condition keys of each action's check.

The resources that the action requires (Service Authorization Reference, "Resource types (*required)"), of the change that leads to
it. An action that names no resource is checked on `*`, as on AWS.
"""

from collections.abc import Callable, Iterator

from local_aws.rights import actions, ec2, iam, services
from local_aws.rights.changes import Change
from local_aws.rights.permission_check import ANY, PermissionCheck

Checks = Callable[[Change, str], Iterator[PermissionCheck]]
BY_SERVICE: dict[str, Checks] = {"iam": iam.checks_of, "ec2": ec2.checks_of, **services.BY_SERVICE}


def all_checks(change: Change) -> list[PermissionCheck]:
    """Return every check before this change is made, in order. Raises actions.UnknownType."""
    return [check for action in actions.needed_actions(change) for check in checks_of(change, action)]


def checks_of(change: Change, action: str) -> list[PermissionCheck]:
    """Return the checks of one action of a change; none where this change does not come to call it after all."""
    by_service = BY_SERVICE.get(action.partition(":")[0])
    return list(by_service(change, action)) if by_service else [PermissionCheck(action, ANY)]

"""Resources and condition keys of each action's check.

The resources that the action requires (Service Authorization Reference, "Resource types (*required)"), of the change that leads to
it. An action that names no resource is checked on `*`, as on AWS.
"""

from collections.abc import Callable, Iterator

from local_aws.rights import actions, ec2, iam, services
from local_aws.rights.asked import ANY, Asked
from local_aws.rights.changes import Change

Asking = Callable[[Change, str], Iterator[Asked]]
BY_SERVICE: dict[str, Asking] = {"iam": iam.asked, "ec2": ec2.asked, **services.BY_SERVICE}


def all_asked(change: Change) -> list[Asked]:
    """Return every check before this change is made, in order. Raises actions.UnknownType."""
    return [question for action in actions.needed(change) for question in asked(change, action)]


def asked(change: Change, action: str) -> list[Asked]:
    """Return the checks of one action of a change; none where this change does not come to call it after all."""
    by_service = BY_SERVICE.get(action.partition(":")[0])
    return list(by_service(change, action)) if by_service else [Asked(action, ANY)]

"""On which resources, and with which condition keys, each action is asked.

Those that the action requires (Service Authorization Reference, "Resource types (*required)"), of the change that leads to it. An
action that names no resource is asked on `*`, as AWS does.
"""

from collections.abc import Callable, Iterator

from local_aws.rights import actions, ec2, iam, services
from local_aws.rights.asked import ANY, Asked
from local_aws.rights.changes import Change

Asking = Callable[[Change, str], Iterator[Asked]]
BY_SERVICE: dict[str, Asking] = {"iam": iam.asked, "ec2": ec2.asked, **services.BY_SERVICE}


def all_asked(change: Change) -> list[Asked]:
    """Everything that is asked before this change is made, in order. Raises actions.UnknownType."""
    return [one for action in actions.needed(change) for one in asked(change, action)]


def asked(change: Change, action: str) -> list[Asked]:
    """What is asked for one action of a change; nothing where this change does not come to call it after all."""
    by_service = BY_SERVICE.get(action.partition(":")[0])
    return list(by_service(change, action)) if by_service else [Asked(action, ANY)]

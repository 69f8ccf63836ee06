"""Requests about groups that make no sense. Each message says what was refused, that nothing changed, and what to do."""


class GroupsError(ValueError):
    """A request that was refused before anything was started."""


class NameTaken(GroupsError):
    """The slug, name or bucket belongs to something else."""


class NotFound(GroupsError):
    """There is no such group, person or analysis."""


class InvalidName(GroupsError):
    """A slug, name, address or bucket that breaks a rule."""


class AlreadyMember(GroupsError):
    """The person is in the group already."""


class NotMember(GroupsError):
    """The person is not in the group."""


class Inactive(GroupsError):
    """The person's account is not active."""


class AlreadyGranted(GroupsError):
    """The group may use the analysis already, to that extent."""


class NotGranted(GroupsError):
    """The group may not use the analysis."""


class LimitReached(GroupsError):
    """AWS would refuse it, because one of its limits would be passed."""


class NoCredentials(GroupsError):
    """There are no credentials to hand out."""

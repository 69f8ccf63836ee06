"""Requests about groups that make no sense. Each message says what was refused, that nothing changed, and what to do."""


class GroupsError(ValueError):
    """A request that was refused before anything was started."""


class NameTaken(GroupsError):
    """The slug, name or bucket belongs to something else."""


class BucketTaken(NameTaken):
    """There is a bucket of this name on AWS already."""


class BucketNotAsked(GroupsError):
    """AWS could not be asked whether a bucket's name is free."""


class NotMade(GroupsError):
    """AWS could not make the analysis's bucket, and it is left out."""


class Made(GroupsError):
    """AWS has made the analysis's bucket, or may be making it."""


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


class BeingMadeReady(NoCredentials):
    """AWS refuses what a deployment gave a moment ago: it may only be late. Whoever asks again soon gets it."""

    def __init__(self) -> None:
        super().__init__("Your access is being made ready on AWS, which takes up to a minute. Nothing was changed; wait a moment.")


class Suspended(NoCredentials):
    """The member, or the whole group, is suspended."""


class NotSuspended(GroupsError):
    """There is nothing to lift, or it is suspended already."""


class OldKeyThere(GroupsError):
    """The key before the present one is still there, and IAM allows no third."""


class NoOldKey(GroupsError):
    """There is no key before the present one, or it is in that state already."""


class InvalidOverlap(GroupsError):
    """A time for two keys side by side that makes no sense."""


class TooOften(GroupsError):
    """The person did it too often within a while."""


class CodeRefused(GroupsError):
    """The join code does not work. Why is not said, so that nobody learns which codes there were."""

    def __init__(self) -> None:
        super().__init__(
            "This join code does not work: it may be mistyped, used up, withdrawn or expired. "
            "Nothing was changed; ask the group's manager for a fresh one."
        )


class TooManyTries(GroupsError):
    """The person tried too many codes that do not work."""


class AlreadyAsked(GroupsError):
    """The person has asked for this already, and it is not decided."""


class NotOpen(GroupsError):
    """The request to join was decided or withdrawn already, or its address is not verified yet."""


class LastManager(GroupsError):
    """The group would be left without a manager by one of its managers."""


class InvalidTerms(GroupsError):
    """A join code with a life or a number of uses that makes no sense."""


class InvalidEnd(GroupsError):
    """An end of a membership that makes no sense."""


class AlreadyMoving(GroupsError):
    """The person is on the way to another group."""


class AlreadyWithdrawn(GroupsError):
    """The join code was withdrawn before."""

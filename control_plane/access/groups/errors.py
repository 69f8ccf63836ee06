"""Requests about groups that make no sense. Each message says what was refused, that nothing changed, and what to do."""

from control_plane.base.errors import Refused


class NameTaken(Refused):
    """The slug, name or bucket belongs to something else."""


class BucketTaken(NameTaken):
    """There is a bucket of this name on AWS already."""


class BucketNotAsked(Refused):
    """AWS could not be asked whether a bucket's name is free."""


class NotMade(Refused):
    """AWS could not make the analysis's bucket, and it is left out."""


class Made(Refused):
    """AWS has made the analysis's bucket, or may be making it."""


class AlreadyMember(Refused):
    """The person is in the group already."""


class NotMember(Refused):
    """The person is not in the group."""


class Inactive(Refused):
    """The person's account is not active."""


class AlreadyGranted(Refused):
    """The group may use the analysis already, to that extent."""


class NotGranted(Refused):
    """The group may not use the analysis."""


class NoCredentials(Refused):
    """There are no credentials to hand out."""


class BeingMadeReady(NoCredentials):
    """AWS refuses what a deployment gave a moment ago: it may only be late. Whoever asks again soon gets it."""

    def __init__(self) -> None:
        super().__init__("Your access is being made ready on AWS, which takes up to a minute. Nothing was changed; wait a moment.")


class Suspended(NoCredentials):
    """The member, or the whole group, is suspended."""


class NotSuspended(Refused):
    """There is nothing to lift, or it is suspended already."""


class OldKeyThere(Refused):
    """The key before the present one is still there, and IAM allows no third."""


class NoOldKey(Refused):
    """There is no key before the present one, or it is in that state already."""


class InvalidOverlap(Refused):
    """A time for two keys side by side that makes no sense."""


class CodeRefused(Refused):
    """The join code does not work. Why is not said, so that nobody learns which codes there were."""

    def __init__(self) -> None:
        super().__init__(
            "This join code does not work: it may be mistyped, used up, withdrawn or expired. "
            "Nothing was changed; ask the group's manager for a fresh one."
        )


class TooManyTries(Refused):
    """The person tried too many codes that do not work."""


class AlreadyAsked(Refused):
    """The person has asked for this already, and it is not decided."""


class NotOpen(Refused):
    """The request to join was decided or withdrawn already, or its address is not verified yet."""


class LastManager(Refused):
    """The group would be left without a manager by one of its managers."""


class InvalidTerms(Refused):
    """A join code with a life or a number of uses that makes no sense."""


class InvalidEnd(Refused):
    """An end of a membership that makes no sense."""


class AlreadyMoving(Refused):
    """The person is on the way to another group."""


class AlreadyWithdrawn(Refused):
    """The join code was withdrawn before."""


class BeingRetired(Refused):
    """The group is being retired or was: nobody and nothing can be added to it."""


class AnalysisRetired(Refused):
    """The analysis is being retired or was: nobody can be granted it, or ask for it."""

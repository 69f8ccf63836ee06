"""Refusals of requests about groups. Each message says what was refused, that nothing changed, and what to do."""

from control_plane.base.errors import Refused


class NameTaken(Refused):
    """The slug, name or bucket belongs to something else."""


class BucketTaken(NameTaken):
    """A bucket of this name exists on AWS already."""


class BucketNotAsked(Refused):
    """No answer from AWS on whether a bucket's name is free."""


class BucketNotMade(Refused):
    """The analysis has no bucket: AWS could not make it, and it is left out."""


class BucketMade(Refused):
    """The analysis's bucket exists on AWS, or is being made."""


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
    """No credentials can be handed out."""


class BeingMadeReady(NoCredentials):
    """AWS still refuses what a deployment gave a moment ago, as IAM is eventually consistent. Worth a retry soon."""

    def __init__(self) -> None:
        super().__init__("Your access is being made ready on AWS, which takes up to a minute. Nothing was changed; wait a moment.")


class Suspended(NoCredentials):
    """The member, or the whole group, is suspended."""


class NotSuspended(Refused):
    """No suspension to lift, or the member or group is suspended already."""


class OldKeyThere(Refused):
    """The previous key still exists, and IAM allows no third."""


class NoOldKey(Refused):
    """No previous key exists, or it is in that state already."""


class InvalidOverlap(Refused):
    """An overlap of two keys that is out of range."""


class CodeRefused(Refused):
    """The join code does not work. The reason is withheld, so that nobody learns which codes exist."""

    def __init__(self) -> None:
        super().__init__(
            "This join code does not work: it may be mistyped, used up, withdrawn or expired. "
            "Nothing was changed; ask the group's manager for a fresh one."
        )


class TooManyTries(Refused):
    """The person tried too many codes that do not work."""


class AlreadyAsked(Refused):
    """The person has an undecided request for this already."""


class NotOpen(Refused):
    """The request to join was decided or withdrawn already, or its address is not verified yet."""


class LastManager(Refused):
    """The group would be left without a manager by one of its managers."""


class InvalidTerms(Refused):
    """A lifetime or number of uses of a join code that is out of range."""


class InvalidEnd(Refused):
    """An end date of a membership that is out of range."""


class AlreadyMoving(Refused):
    """The person is being moved to another group already."""


class AlreadyWithdrawn(Refused):
    """The join code was withdrawn before."""


class BeingRetired(Refused):
    """The group is being retired or was: nobody and nothing can be added to it."""


class AnalysisRetired(Refused):
    """The analysis is being retired or was: nobody can be granted it, or ask for it."""

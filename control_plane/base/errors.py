"""Requests that are refused. Each message says what was refused, that nothing changed, and what to do."""


class Refused(ValueError):
    """A request that was refused before anything was started."""


class NotFound(Refused):
    """There is no such group, person or analysis."""


class InvalidName(Refused):
    """A slug, name, address or bucket that breaks a rule."""


class LimitReached(Refused):
    """AWS would refuse it, because one of its limits would be passed."""


class TooOften(Refused):
    """The person did it too often within a while."""

"""Errors of requests that are refused. Each message says what was refused, that nothing changed, and what to do."""


class Refused(ValueError):
    """A request that was refused before anything was started."""


class NotFound(Refused):
    """There is no such group, person or analysis."""


class InvalidName(Refused):
    """A slug, name, address or bucket that breaks a rule."""


class LimitReached(Refused):
    """A limit of AWS would be exceeded."""


class TooOften(Refused):
    """A rate limit was exceeded."""

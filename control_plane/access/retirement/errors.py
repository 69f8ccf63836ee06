"""Errors of retirement: requests that are invalid, or come too late."""

from control_plane.base.errors import Refused


class RetirementRefused(Refused):
    """The group or analysis cannot be retired, or its retirement cannot be undone, as asked. Nothing was changed."""

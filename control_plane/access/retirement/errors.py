"""Requests about the end of a group or an analysis that make no sense, or come too late."""

from control_plane.base.errors import Refused


class RetirementRefused(Refused):
    """The group or analysis cannot be retired, or its retirement cannot be undone, as asked. Nothing was changed."""

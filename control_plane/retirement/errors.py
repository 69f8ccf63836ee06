"""Requests about the end of a group or an analysis that make no sense, or come too late."""

from control_plane.errors import Refused


class RetirementRefused(Refused):
    """The group or analysis cannot be retired, or its retirement cannot be undone, as asked. Nothing was changed."""


class BeingRetired(Refused):
    """The group is being retired or was: nobody and nothing can be added to it."""


class AnalysisRetired(Refused):
    """The analysis is being retired or was: nobody can be granted it, or ask for it."""

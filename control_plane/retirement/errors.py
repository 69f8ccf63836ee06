"""Requests about the end of a group or an analysis that make no sense, or come too late."""

from control_plane.groups.errors import GroupsError


class RetirementRefused(GroupsError):
    """The group or analysis cannot be retired, or its retirement cannot be undone, as asked. Nothing was changed."""


class BeingRetired(GroupsError):
    """The group is being retired or was: nobody and nothing can be added to it."""


class AnalysisRetired(GroupsError):
    """The analysis is being retired or was: nobody can be granted it, or ask for it."""

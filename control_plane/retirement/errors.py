"""Requests about the end of a group that make no sense, or come too late."""

from control_plane.groups.errors import GroupsError


class RetirementRefused(GroupsError):
    """The group cannot be retired, or its retirement cannot be undone, as asked. Nothing was changed."""


class BeingRetired(GroupsError):
    """The group is being retired or was: nobody and nothing can be added to it."""

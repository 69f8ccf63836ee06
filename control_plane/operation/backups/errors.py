"""What goes wrong with backups. Each message says what happened, what was not changed, and what to do next."""

from control_plane.base.errors import Refused


class BackupsError(Refused):
    """A backup could not be made, found, used or restored."""


class BackupFailed(BackupsError):
    """No backup was made. What was stored before is as it was."""


class StoreFailed(BackupsError):
    """The place where backups lie could not be used."""


class NoBackup(BackupsError):
    """There is no such backup."""


class BadBackup(BackupsError):
    """The backup is damaged, or is not one of this kind of database. The message lacks what was not changed."""


class RestoreRefused(BackupsError):
    """Restoring would lose something, or somebody uses the database. Nothing was changed."""


class RemovalRefused(BackupsError):
    """A backup may not be removed, or not yet. Nothing was removed."""


class NameInUse(Exception):
    """Another backup was given this name within the same second."""

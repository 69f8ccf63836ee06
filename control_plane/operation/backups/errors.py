"""Errors of backups. Each message says what happened, what was not changed, and what to do next."""

from control_plane.base.errors import Refused


class BackupsError(Refused):
    """A backup could not be made, found, used or restored."""


class BackupFailed(BackupsError):
    """No backup was made. Earlier backups are unchanged."""


class StoreFailed(BackupsError):
    """The store of the backups could not be used."""


class NoBackup(BackupsError):
    """The backup does not exist."""


class BadBackup(BackupsError):
    """The backup is damaged, or of another kind of database. The message does not say what was not changed."""


class RestoreRefused(BackupsError):
    """Restoring would lose data, or the database is in use. Nothing was changed."""


class RemovalRefused(BackupsError):
    """A backup may not be removed, or not yet. Nothing was removed."""


class NameInUse(Exception):
    """Another backup was given this name within the same second."""

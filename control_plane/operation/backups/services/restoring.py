"""Restoring a backup, in one step, and without losing data unless that is forced."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from allauth.idp.oidc.models import Token
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import DatabaseError, connection, connections
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from control_plane.access.review.schedule import mark_restored as request_scan_of_all
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.aws_ahead import mark_restored
from control_plane.deployments.liveness import WORKER_SILENT_SECONDS, silent_before
from control_plane.deployments.models import Worker
from control_plane.operation.backups.databases import Losses, Staged
from control_plane.operation.backups.documents import BackupManifest
from control_plane.operation.backups.errors import BadBackup, RestoreRefused
from control_plane.operation.backups.services.checking import staged_backup
from control_plane.operation.backups.site import site_database, site_store
from control_plane.operation.backups.store import ReportProgress

ALIAS = "restored"


@dataclass(frozen=True)
class Restored:
    """A completed restore: the backup's manifest, where the old database is kept ('' if there was none), and what was lost."""

    manifest: BackupManifest
    kept_aside: str
    losses: Losses | None
    migrated: bool


def restore(name: str, *, force: bool, to: str = "", actor: Actor, report: ReportProgress) -> Restored:
    """Replace the database by a backup, or restore it at `to` beside the database. Raises BackupsError or PermissionDenied.

    Everybody is signed out: otherwise a session that was ended after the backup would be valid again.
    """
    require_administrator(actor)
    if not to:
        _refuse_in_use()
    with staged_backup(site_store(), name, report) as (manifest, staged):
        losses = None if to else staged.losses()
        if losses and not force:
            raise RestoreRefused(
                f"The database holds data, and {manifest.name} is of {manifest.began_at:%Y-%m-%d %H:%M:%S} UTC. Restoring it would "
                f"lose this: {losses.describe()}. Nothing was changed; with --force it is restored, and the old one is kept aside."
            )
        report("Preparing it", 0)
        migrated = _prepare(staged, manifest, actor)
        connections.close_all()
        report("Putting it in place", 0)
        if to:
            staged.move_to(to)
            return Restored(manifest, "", None, migrated)
        return Restored(manifest, staged.take_over(), losses, migrated)


def _refuse_in_use() -> None:
    try:
        alive = Worker.objects.filter(seen_at__gte=silent_before(timezone.now())).values_list("name", flat=True).first()
    except DatabaseError:
        # There is no database, or no readable one, so no worker uses it.
        alive = None
    finally:
        connections.close_all()
    if alive:
        raise RestoreRefused(
            f"The worker {alive} was seen within the last {WORKER_SILENT_SECONDS} s. Nothing was changed; stop it "
            "(`systemctl stop cohort-worker`), and the web server too, and try again a minute later."
        )
    site_database().refuse_in_use()


def _prepare(staged: Staged, manifest: BackupManifest, actor: Actor) -> bool:
    """Migrate the restored database to this release, and record the restore in it. Returns True if it was of an older schema."""
    with _connection_alias(staged.connection):
        loader = MigrationLoader(connections[ALIAS])
        applied = {(app, migration) for app, migrations in manifest.contents.migrations.items() for migration in migrations}
        if unknown := sorted(applied - loader.graph.nodes.keys() - loader.replacements.keys()):
            app, migration = unknown[0]
            raise BadBackup(f"{manifest.name} is of a newer release than this one, which does not know {app}.{migration}.")
        is_older = bool(loader.graph.nodes.keys() - applied)
        if is_older:
            call_command("migrate", database=ALIAS, verbosity=0, interactive=False)
        mark_restored(ALIAS)
        request_scan_of_all(ALIAS)
        for model in (Session, UserSession, Token):
            model._default_manager.using(ALIAS).all().delete()
        AuditEvent.objects.using(ALIAS).create(
            actor=actor.label,
            channel=actor.channel,
            address=actor.address,
            action="backup.restore",
            target=manifest.name,
            details={"began_at": manifest.began_at.isoformat(), "sha256": manifest.sha256},
        )
    return is_older


@contextmanager
def _connection_alias(settings: dict[str, Any]) -> Iterator[None]:
    """Register the database under ALIAS in Django's connections within the block."""
    connections.settings[ALIAS] = {**connection.settings_dict, **settings}
    try:
        yield
    finally:
        connections[ALIAS].close()
        del connections[ALIAS]
        del connections.settings[ALIAS]

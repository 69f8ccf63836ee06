"""`manage.py backup`: create, list, verify, restore and remove backups of the database."""

import sys
from typing import Any

from control_plane.base.terminal import VerbCommand, table
from control_plane.operation.backups.documents import BackupManifest, is_manual
from control_plane.operation.backups.errors import BackupsError, BadBackup
from control_plane.operation.backups.services.checking import LATEST, resolve_name, verify
from control_plane.operation.backups.services.making import create
from control_plane.operation.backups.services.removing import remove
from control_plane.operation.backups.services.restoring import Restored, restore
from control_plane.operation.backups.site import site_store

EXIT_BAD_BACKUP = 1
MAX_LISTED = 100
BAR_CHARACTERS = 20


class Command(VerbCommand):
    """Command for backups."""

    help = "Back the database up, list, verify and remove backups, and restore one."

    def add_verbs(self) -> None:
        made = self.verb("create", self.create, "Copy the database while it is in use, store the copy, and verify it.")
        made.add_argument(
            "--scheduled",
            action="store_true",
            help="For a timer: the copy is thinned out later. Without it, the copy is one made by hand, which is kept.",
        )
        listed = self.verb("list", self.list, f"List the finished backups, newest first (at most {MAX_LISTED}).")
        listed.add_argument("--limit", type=int, default=MAX_LISTED, help="How many at most.")
        verified = self.verb("verify", self.verify, "Restore a backup into a temporary database and compare it with its manifest.")
        verified.add_argument("name", nargs="?", default=LATEST, help=f"A backup's name, or {LATEST} (the default).")
        verified.add_argument("--all", action="store_true", help="Verify all of them; exit status 1 says that one is bad.")
        restored = self.verb("restore", self.restore, "Put a backup in the database's place. Stop the web server and worker first.")
        restored.add_argument("name", help=f"A backup's name, or {LATEST}.")
        restored.add_argument("--force", action="store_true", help="Even if the database holds data; it is kept aside.")
        restored.add_argument("--to", default="", help="Restore beside the database instead: a new file, or a new database's name.")
        removed = self.verb("remove", self.remove, "Remove one backup for good.")
        removed.add_argument("name", help="A backup's name.")

    def create(self, options: dict[str, Any]) -> None:
        made = create(actor=self.actor, report=self._progress(), is_scheduled=options["scheduled"])
        manifest = made.manifest
        lines = [
            f"{manifest.name} is made and verified: {_rows(manifest):,} rows, {manifest.size:,} bytes, in {site_store().location}",
            *(f"Removed, as it is kept no longer: {name}" for name in made.removed),
        ]
        self.show(options, _as_dict(manifest) | {"removed": made.removed}, "\n".join(lines))

    def list(self, options: dict[str, Any]) -> None:
        store = site_store()
        rows, documents = [], []
        for name in store.names()[: max(0, options["limit"])]:
            try:
                manifest = store.manifest(name)
            except BadBackup as error:
                rows.append([name, "", _made(name), "", str(error)])
                documents.append({"name": name, "error": str(error)})
                continue
            moment = f"{manifest.began_at:%Y-%m-%d %H:%M:%S}"
            rows.append([name, moment, _made(name), f"{manifest.size:,}", f"{_rows(manifest):,}"])
            documents.append(_as_dict(manifest))
        self.show(options, documents, table(rows, ["BACKUP", "BEGAN (UTC)", "MADE", "BYTES", "ROWS"]))

    def remove(self, options: dict[str, Any]) -> None:
        left = remove(options["name"], actor=self.actor)
        document = {"name": options["name"], "store": site_store().location, "left": left}
        self.show(options, document, f"{options['name']} is removed. Backups left in {site_store().location}: {left}")

    def verify(self, options: dict[str, Any]) -> None:
        names = site_store().names() if options["all"] else [resolve_name(site_store(), options["name"])]
        documents, bad = [], False
        for name in names:
            try:
                manifest = verify(name, self._progress())
            except BackupsError as error:
                if not options["all"]:
                    raise
                bad = True
                documents.append({"name": name, "error": str(error)})
                continue
            documents.append(_as_dict(manifest))
        lines = [f"{document['name']}: {document.get('error') or 'whole'}" for document in documents]
        self.show(options, documents, "\n".join(lines) or "None yet.")
        if bad:
            sys.exit(EXIT_BAD_BACKUP)

    def restore(self, options: dict[str, Any]) -> None:
        done = restore(options["name"], force=options["force"], to=options["to"], actor=self.actor, report=self._progress())
        document = _as_dict(done.manifest) | {"kept_aside": done.kept_aside, "migrated": done.migrated}
        document |= {"lost": done.losses.rows if done.losses else {}}
        self.show(options, document, _restored(done, options["to"]))

    def _progress(self) -> Any:
        """Return a function that prints a line for each step, and for each fifth of a long one."""
        reported = ("", -1)

        def report(doing: str, share: float) -> None:
            nonlocal reported
            step = (doing, int(min(1.0, share) * 5))
            if step != reported:
                reported = step
                filled = step[1] * BAR_CHARACTERS // 5
                self.stderr.write(f"[{'#' * filled}{'.' * (BAR_CHARACTERS - filled)}] {step[1] * 20:3d}%  {doing}")

        return report


def _rows(manifest: BackupManifest) -> int:
    return sum(manifest.contents.rows.values())


def _as_dict(manifest: BackupManifest) -> dict[str, Any]:
    document = manifest.model_dump(mode="json", exclude={"contents"})
    return document | {"made": _made(manifest.name), "rows": _rows(manifest)}


def _made(name: str) -> str:
    return "by hand" if is_manual(name) else "scheduled"


def _restored(done: Restored, to: str) -> str:
    manifest = done.manifest
    lines = [f"{manifest.name}, of {manifest.began_at:%Y-%m-%d %H:%M:%S} UTC, is restored{f' to {to}' if to else ''}."]
    if done.migrated:
        lines.append("It was of an older release, and was migrated to this one.")
    if done.kept_aside:
        lines.append(f"The old database is kept as {done.kept_aside}.")
    if done.losses:
        lines.append(f"It had {done.losses.describe()}.")
    if not to:
        lines.append(
            "Start the worker and the web server: each group is compared with AWS first. Those that were changed there after the "
            "backup are shown as changed, and wait for a decision (`manage.py stack list`). Everybody signs in again."
        )
    return "\n".join(lines)

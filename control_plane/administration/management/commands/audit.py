"""`manage.py audit export`: the audit trail as a file."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from control_plane.base.audit.export import FORMATS, Format, lines
from control_plane.base.audit.models import AuditEvent, record
from control_plane.base.terminal import VerbCommand

LINES_BETWEEN_NEWS = 10_000


class Command(VerbCommand):
    """The audit trail from a terminal."""

    help = "Export the audit trail."

    def add_verbs(self) -> None:
        export = self.verb("export", self.export, "Write the audit trail, oldest first; the export itself is on record.")
        export.add_argument("--format", choices=FORMATS, required=True, help="csv for a spreadsheet, jsonl for a program.")
        export.add_argument(
            "--since", metavar="DATE", help="Only what was done from then on: 2026-01-31 or 2026-01-31T12:00, in UTC."
        )
        export.add_argument("--output", metavar="FILE", type=Path, help="A file that only you may read, instead of the terminal.")

    def export(self, options: dict[str, Any]) -> None:
        form, output = options["format"], options["output"]
        if options["json"] and output is None:
            self.refuse("--json describes the file that --output names. Nothing was exported.", options)
        since = self._since(options)
        events = AuditEvent.objects.filter(at__gte=since) if since else AuditEvent.objects.all()
        record(self.actor, "audit.export", "audit trail", format=form, since=since.isoformat() if since else None)
        if output is None:
            self._write(events, form, self.stdout)
            return
        # Under another name until it is whole.
        part = output.with_name(f"{output.name}.part")
        try:
            part.touch(mode=0o600)
            with part.open("w", newline="", encoding="utf-8") as file:
                count = self._write(events, form, file)
            part.replace(output)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            self.refuse(f"{output} could not be written: {error.strerror}. It was left as it was; choose another place.", options)
        self.show(options, {"file": str(output), "events": count}, f"{count} events are in {output}.")

    def _write(self, events: Any, form: Format, file: Any) -> int:
        count = -1 if form == "csv" else 0
        for line in lines(events, form):
            file.write(line)
            count += 1
            if count and count % LINES_BETWEEN_NEWS == 0:
                self.stderr.write(f"{count} events so far")
        self.stderr.write(f"{count} events")
        return count

    def _since(self, options: dict[str, Any]) -> datetime | None:
        if not options["since"]:
            return None
        try:
            since = datetime.fromisoformat(options["since"])
        except ValueError:
            self.refuse(f"--since {options['since']} is not a date such as 2026-01-31. Nothing was exported.", options)
        return since if since.tzinfo else since.replace(tzinfo=UTC)

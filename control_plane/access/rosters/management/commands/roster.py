"""`manage.py roster`: import and export of people and memberships as a CSV file."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from control_plane.access.groups.services.groups import find_group
from control_plane.access.groups.services.members import find_user
from control_plane.access.rosters.services.apply import ChangedMeanwhile, Outcome, apply_reading
from control_plane.access.rosters.services.encoding import MAX_BYTES
from control_plane.access.rosters.services.export import export
from control_plane.access.rosters.services.plan import FATES, Fate, RosterPlan, make_plan
from control_plane.access.rosters.services.read import Reading, read_roster
from control_plane.deployments.models import Deployment
from control_plane.deployments.terminal import EXIT_DEPLOYMENT_FAILED, DeployingCommand

# A terminal shows so many rows of each fate; --json has all.
MAX_ROWS_SHOWN = 200


class Command(DeployingCommand):
    """Import and export from a terminal."""

    help = "Import people and memberships from a CSV file, after a dry run, and export them."

    def add_verbs(self) -> None:
        check = self.verb("check", self.check_file, "Say what would become of each row, and change nothing.")
        check.add_argument("file", type=Path)
        apply_verb = self.verb("apply", self.apply, "Do it: one deployment for each group.", deploys=True)
        apply_verb.add_argument("file", type=Path)
        apply_verb.add_argument("--good-rows", action="store_true", help="Apply the good rows although others are refused.")
        apply_verb.add_argument(
            "--digest", default="", help="What `check` printed; if anything would be decided otherwise now, nothing is done."
        )
        out = self.verb("export", self.export, "Write everybody, one group or one person as a file that can be imported again.")
        out.add_argument("--group", metavar="slug")
        out.add_argument("--person", metavar="e-mail")
        out.add_argument("--output", metavar="FILE", type=Path, help="A file that only you may read, instead of the terminal.")

    def check_file(self, options: dict[str, Any]) -> None:
        plan = make_plan(self._read(options))
        self.show(options, _as_dict(plan), _as_text(plan))

    def apply(self, options: dict[str, Any]) -> None:
        reading = self._read(options)
        digest = options["digest"] or make_plan(reading).digest
        try:
            outcomes = apply_reading(
                reading, digest=digest, good_rows=options["good_rows"], actor=self.actor, on_outcome=self._print_outcome
            )
        except ChangedMeanwhile as changed:
            if options["json"]:
                self.refuse(str(changed), options)
            self.stdout.write(_as_text(changed.plan))
            raise
        started = [outcome.deployment for outcome in outcomes if outcome.deployment]
        deployments = Deployment.objects.select_related("stack").filter(pk__in=started).order_by("pk")
        failed = [outcome for outcome in outcomes if outcome.error]
        self.follow_all(
            options,
            list(deployments),
            {"groups": [outcome.as_dict() for outcome in outcomes]},
            f"{len(outcomes) - len(failed)} of {len(outcomes)} groups were changed.",
            status=EXIT_DEPLOYMENT_FAILED if failed else 0,
        )

    def export(self, options: dict[str, Any]) -> None:
        output: Path | None = options["output"]
        if options["json"] and output is None:
            self.refuse("--json describes the file that --output names. Nothing was exported.", options)
        group = find_group(options["group"]) if options["group"] else None
        person = find_user(options["person"]) if options["person"] else None
        lines = export(actor=self.actor, group=group, person=person)
        if output is None:
            for line in lines:
                self.stdout.write(line, ending="")
            return
        part = output.with_name(f"{output.name}.part")
        count = -1
        try:
            part.touch(mode=0o600)
            with part.open("w", newline="", encoding="utf-8") as file:
                for line in lines:
                    file.write(line)
                    count += 1
            part.replace(output)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            self.refuse(f"{output} could not be written: {error.strerror}. It was left as it was; choose another place.", options)
        self.show(options, {"file": str(output), "rows": count}, f"{count} rows are in {output}.")

    def _read(self, options: dict[str, Any]) -> Reading:
        """Read the file. A file without readable rows is refused, with all its problems."""
        try:
            with options["file"].open("rb") as file:
                reading = read_roster(file.read(MAX_BYTES + 1))
        except OSError as error:
            self.refuse(f"{options['file']} could not be read: {error.strerror}. Nothing was changed.", options)
        if not reading.rows:
            self.refuse(" ".join(map(str, reading.problems)), options)
        return reading

    def _print_outcome(self, outcome: Outcome) -> None:
        result = outcome.error or f"{outcome.added} added, {outcome.changed} changed, {outcome.removed} removed"
        self.stderr.write(f"{outcome.group or 'people in no group'}: {result}")


def _as_dict(plan: RosterPlan) -> dict[str, Any]:
    return {
        "counts": plan.counts,
        "digest": plan.digest,
        "notes": list(plan.notes),
        "problems": [{"line": problem.line, "column": problem.column, "text": problem.text} for problem in plan.problems],
        "rows": [verdict.as_dict() for verdict in plan.verdicts],
    }


def _as_text(plan: RosterPlan) -> str:
    """Return the plan as text, refused rows first: they need action."""
    lines = [*plan.notes, *(str(problem) for problem in plan.problems)]
    for fate in (Fate.REFUSED, Fate.REMOVED, Fate.ADDED, Fate.CHANGED, Fate.SAME):
        rows = [verdict for verdict in plan.verdicts if verdict.fate == fate]
        if rows:
            lines += ["", f"{FATES[fate]}: {len(rows)}"]
            lines += [
                f"  line {verdict.row.line}: {verdict.row.email} {verdict.group}: {verdict.what}"
                for verdict in rows[:MAX_ROWS_SHOWN]
            ]
            if len(rows) > MAX_ROWS_SHOWN:
                lines.append(f"  and {len(rows) - MAX_ROWS_SHOWN} more (--json shows all)")
    return "\n".join([*lines, "", f"digest {plan.digest}"]).strip()

"""`manage.py analysis`: make analyses, and grant them to groups."""

from typing import Any

from control_plane.access.groups.models import Analysis, Grant
from control_plane.access.groups.services.analyses import create_analysis, find_analysis, grant_analysis, revoke_analysis
from control_plane.access.groups.services.groups import find_group
from control_plane.base.terminal import table
from control_plane.deployments.terminal import DeployingCommand


class Command(DeployingCommand):
    """Analyses from a terminal."""

    help = "Make analyses, and grant them to groups."

    def add_verbs(self) -> None:
        create = self.verb("create", self.create, "Make an analysis and its bucket.", deploys=True)
        create.add_argument("slug")
        create.add_argument("--bucket", required=True, help="The S3 bucket, which is made.")
        create.add_argument("--name", default="", help="What people call it (the slug, if left out).")
        self.verb("list", self.list, "List the analyses.")
        grant = self.verb("grant", self.grant, "Let a group use an analysis, or change to what extent.", deploys=True)
        grant.add_argument("--read-only", action="store_true", help="They may read, not write.")
        revoke = self.verb("revoke", self.revoke, "End a group's use of an analysis; its data stays.", deploys=True)
        for parser in (grant, revoke):
            parser.add_argument("analysis", help="The analysis's slug.")
            parser.add_argument("group", help="The group's slug.")

    def create(self, options: dict[str, Any]) -> None:
        analysis, deployment = create_analysis(
            slug=options["slug"], bucket=options["bucket"], name=options["name"], actor=self.actor
        )
        self.follow(options, deployment, {"analysis": analysis_as_dict(analysis)}, f"The bucket {analysis.bucket} is being made.")

    def list(self, options: dict[str, Any]) -> None:
        analyses = list(Analysis.objects.select_related("stack"))
        rows = [[row.slug, row.name, row.bucket, row.stack.name, _state(row)] for row in analyses]
        self.show(
            options,
            [analysis_as_dict(analysis) for analysis in analyses],
            table(rows, ["SLUG", "NAME", "BUCKET", "STACK", "STATE"]),
        )

    def grant(self, options: dict[str, Any]) -> None:
        analysis, group = find_analysis(options["analysis"]), find_group(options["group"])
        level = Grant.Level.READ_ONLY if options["read_only"] else Grant.Level.READ_WRITE
        deployment = grant_analysis(analysis=analysis, group=group, level=level, actor=self.actor)
        document = {"analysis": analysis.slug, "group": group.slug, "access": level.value}
        self.follow(options, deployment, document, f"{group.name} is being given {analysis.name} ({level.value}).")

    def revoke(self, options: dict[str, Any]) -> None:
        analysis, group = find_analysis(options["analysis"]), find_group(options["group"])
        deployment = revoke_analysis(analysis=analysis, group=group, actor=self.actor)
        document = {"analysis": analysis.slug, "group": group.slug}
        self.follow(options, deployment, document, f"{group.name}'s use of {analysis.name} is being ended.")


def analysis_as_dict(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis for JSON output."""
    document = {
        "slug": analysis.slug,
        "name": analysis.name,
        "bucket": analysis.bucket,
        "stack": analysis.stack.name,
        "retired_at": analysis.retired_at,
    }
    return document | ({"unmade_reason": analysis.unmade_reason} if analysis.unmade_reason else {})


def _state(analysis: Analysis) -> str:
    if analysis.unmade_reason:
        return f"not made: {analysis.unmade_reason}"
    return f"retired {analysis.retired_at:%Y-%m-%d}" if analysis.retired_at else ""

"""`manage.py catalogue`: describe analyses, grant them to several groups, and decide about requests, from a terminal."""

from pathlib import Path
from typing import Any

from control_plane.access.groups.models import Analysis, Grant
from control_plane.access.groups.services.analyses import find_analysis
from control_plane.access.groups.services.groups import find_group
from control_plane.base.errors import NotFound
from control_plane.base.terminal import table
from control_plane.deployments.terminal import DeployingCommand
from control_plane.research.catalogue.entries import FIELDS, FILES, describe, entry_of, read_folder
from control_plane.research.catalogue.grants import grant_many, select_analyses
from control_plane.research.catalogue.models import AccessRequest, Entry
from control_plane.research.catalogue.requests import approve, decline
from control_plane.research.catalogue.unmade import remove_analysis, rename_bucket, try_again

TEXTS = ("summary", "paper_url", "source_url", "demo_url", "instance_type")


class Command(DeployingCommand):
    """Catalogue commands for a terminal."""

    help = "Describe analyses, grant them to several groups, and decide about requests."

    def add_verbs(self) -> None:
        self.verb("list", self.list, "List the analyses with what the catalogue says of them.")
        self.verb("show", self.show_one, "Show an analysis's entry.").add_argument("analysis")
        describing = self.verb("describe", self.describe, "Say what an analysis is for.")
        describing.add_argument("analysis")
        describing.add_argument("--from", dest="folder", type=Path, help=f"A folder with {', '.join(FILES)}, or some of them.")
        for name in TEXTS:
            describing.add_argument(f"--{name.replace('_', '-')}", default=None)
        kind = describing.add_mutually_exclusive_group()
        kind.add_argument("--custom", action="store_true", help="Made for certain groups: no default analysis.")
        kind.add_argument("--default", action="store_true", help="A default analysis.")
        granting = self.verb("grant", self.grant, "Let several groups use several analyses: one deployment a group.", deploys=True)
        which = granting.add_mutually_exclusive_group(required=True)
        which.add_argument("--default", action="store_true", help="The default analyses.")
        which.add_argument("--all", action="store_true", help="All analyses.")
        which.add_argument("--analysis", nargs="+", metavar="slug", help="These.")
        granting.add_argument("--to", nargs="+", required=True, metavar="slug", help="The groups.")
        granting.add_argument("--read-only", action="store_true", help="They may read, not write.")
        self.verb("requests", self.requests, "List what groups have asked for and nobody decided.")
        approving = self.verb("approve", self.approve, "Let the group use what it asked for.", deploys=True)
        approving.add_argument("--read-only", action="store_true", help="It may read, not write.")
        for parser in (approving, self.verb("decline", self.decline, "Say no to a request.")):
            parser.add_argument("number", type=int, help="The request's number, as `requests` shows it.")
            parser.add_argument("--note", default="", help="What the group is told.")
        self._add_verbs_of_unmade()

    def _add_verbs_of_unmade(self) -> None:
        trying = self.verb("try-again", self.try_again, "Have AWS make the bucket of an analysis that was left out.", deploys=True)
        renaming = self.verb("rename-bucket", self.rename_bucket, "Another bucket for one that was never made.", deploys=True)
        removing = self.verb("remove", self.remove, "Remove an analysis whose bucket was never made.")
        for parser in (trying, renaming, removing):
            parser.add_argument("analysis", help="The analysis's slug.")
        renaming.add_argument("bucket", help="The new bucket, which is made.")
        removing.add_argument("--confirm", required=True, metavar="SLUG", help="The analysis's slug once more.")

    def list(self, options: dict[str, Any]) -> None:
        entries = [
            (analysis, getattr(analysis, "entry", None) or Entry(analysis=analysis))
            for analysis in Analysis.objects.select_related("entry")
        ]
        rows = [
            [analysis.slug, analysis.name, "custom" if entry.is_custom else "default", entry.summary] for analysis, entry in entries
        ]
        self.show(
            options, [_as_dict(analysis, entry) for analysis, entry in entries], table(rows, ["SLUG", "NAME", "KIND", "SUMMARY"])
        )

    def show_one(self, options: dict[str, Any]) -> None:
        analysis = find_analysis(options["analysis"])
        entry = entry_of(analysis)
        said = "\n\n".join(text for text in (analysis.name, entry.summary, entry.description, entry.template) if text)
        self.show(options, _as_dict(analysis, entry), said)

    def describe(self, options: dict[str, Any]) -> None:
        analysis = find_analysis(options["analysis"])
        fields: dict[str, Any] = {name: options[name] for name in TEXTS if options[name] is not None}
        if options["folder"] is not None:
            fields |= read_folder(options["folder"])
        if options["custom"] or options["default"]:
            fields["is_custom"] = options["custom"]
        entry = describe(analysis=analysis, actor=self.actor, **fields)
        self.show(options, _as_dict(analysis, entry), f"The catalogue says so of {analysis.name} now.")

    def grant(self, options: dict[str, Any]) -> None:
        analyses = [find_analysis(slug) for slug in options["analysis"] or ()]
        if not analyses:
            analyses = list(select_analyses("all" if options["all"] else "default"))
        groups = [find_group(slug) for slug in dict.fromkeys(options["to"])]
        level = _level(options)
        started = grant_many(analyses=analyses, groups=groups, level=level, actor=self.actor)
        document = {
            "analyses": [analysis.slug for analysis in analyses],
            "groups": [analysis.slug for analysis in groups],
            "access": level.value,
        }
        text = f"{len(started)} of {len(groups)} groups change; the others have it already."
        self.follow_all(options, started, document, text)

    def requests(self, options: dict[str, Any]) -> None:
        waiting = AccessRequest.objects.filter(state=AccessRequest.State.WAITING).select_related("group", "analysis", "asked_by")
        requests = list(waiting.order_by("pk"))
        rows = [
            [str(request.pk), request.group.slug, request.analysis.slug, request.asked_by.email, request.reason]
            for request in requests
        ]
        self.show(
            options, [_request(request) for request in requests], table(rows, ["NUMBER", "GROUP", "ANALYSIS", "ASKED BY", "REASON"])
        )

    def approve(self, options: dict[str, Any]) -> None:
        done = approve(_find(options["number"]), level=_level(options), note=options["note"], actor=self.actor)
        text = f"{done.group.name} may use {done.analysis.name}."
        if done.deployment is None:
            self.show(options, _request(done), f"{text} It had it already.")
        else:
            self.follow(options, done.deployment, _request(done), text)

    def decline(self, options: dict[str, Any]) -> None:
        done = decline(_find(options["number"]), note=options["note"], actor=self.actor)
        self.show(options, _request(done), f"{done.group.name} is told that it does not get {done.analysis.name}.")

    def try_again(self, options: dict[str, Any]) -> None:
        analysis = find_analysis(options["analysis"])
        deployment = try_again(analysis=analysis, actor=self.actor)
        document = {"analysis": analysis.slug, "bucket": analysis.bucket}
        self.follow(options, deployment, document, f"The bucket {analysis.bucket} is being made.")

    def rename_bucket(self, options: dict[str, Any]) -> None:
        analysis, bucket = find_analysis(options["analysis"]), options["bucket"]
        deployment = rename_bucket(analysis=analysis, bucket=bucket, actor=self.actor)
        document = {"analysis": analysis.slug, "bucket": bucket}
        self.follow(options, deployment, document, f"The bucket {bucket} of {analysis.name} is being made.")

    def remove(self, options: dict[str, Any]) -> None:
        analysis = find_analysis(options["analysis"])
        deployment = remove_analysis(analysis=analysis, confirmation=options["confirm"], actor=self.actor)
        document = {"removed": options["analysis"], "deployment": deployment.pk if deployment else None}
        self.show(options, document, f"{analysis.name} is removed.")


def _level(options: dict[str, Any]) -> Grant.Level:
    return Grant.Level.READ_ONLY if options["read_only"] else Grant.Level.READ_WRITE


def _find(number: int) -> AccessRequest:
    request = AccessRequest.objects.select_related("group__stack", "analysis", "asked_by").filter(pk=number).first()
    if request is None:
        raise NotFound(f"There is no request {number}. Nothing was changed; `catalogue requests` lists those that wait.")
    return request


def _as_dict(analysis: Analysis, entry: Entry) -> dict[str, Any]:
    return {"slug": analysis.slug, "name": analysis.name, **{name: getattr(entry, name) for name in FIELDS}}


def _request(request: AccessRequest) -> dict[str, Any]:
    return {
        "number": request.pk,
        "group": request.group.slug,
        "analysis": request.analysis.slug,
        "asked_by": request.asked_by.email,
        "reason": request.reason,
        "state": request.state,
        "note": request.note,
    }

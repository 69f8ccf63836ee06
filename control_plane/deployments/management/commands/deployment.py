"""`manage.py deployment`: what AWS was asked to do, and how it went."""

from typing import Any

from control_plane.deployments.models import Deployment
from control_plane.deployments.present import deployment_as_dict
from control_plane.terminal import VerbCommand, table

MOST_LISTED = 100


class Command(VerbCommand):
    """Deployments from a terminal."""

    help = "Look at deployments and their logs."

    def add_verbs(self) -> None:
        listing = self.verb("list", self.list, f"List the newest deployments (at most {MOST_LISTED}).")
        listing.add_argument("--group", metavar="slug", help="Only this group's.")
        self.verb("show", self.show_one, "Show a deployment.").add_argument("id", type=int)
        self.verb("log", self.log, "Print a deployment's log.").add_argument("id", type=int)

    def list(self, options: dict[str, Any]) -> None:
        deployments = Deployment.objects.select_related("stack").prefetch_related("changes").order_by("-pk")
        if options["group"]:
            deployments = deployments.filter(stack__group__slug=options["group"])
        documents = [deployment_as_dict(deployment) for deployment in deployments[:MOST_LISTED]]
        rows = [
            [
                str(one["id"]),
                one["stack"],
                one["state"],
                one["created_at"][:19],
                one["changes"][-1]["summary"] if one["changes"] else "",
            ]
            for one in documents
        ]
        self.show(options, documents, table(rows, ["ID", "STACK", "STATE", "ASKED FOR", "WHAT FOR"]))

    def show_one(self, options: dict[str, Any]) -> None:
        document = deployment_as_dict(self._find(options))
        lines = [f"{name}: {value}" for name, value in document.items() if name != "changes" and value not in ("", None, {})]
        lines += [f"- {change['summary']} ({change['actor']})" for change in document["changes"]]
        self.show(options, document, "\n".join(lines))

    def log(self, options: dict[str, Any]) -> None:
        lines = list(self._find(options).log.all())
        self.show(options, [line.as_dict() for line in lines], "\n".join(f"{line.at:%H:%M:%S}  {line.text}" for line in lines))

    def _find(self, options: dict[str, Any]) -> Deployment:
        try:
            return Deployment.objects.select_related("stack").get(pk=options["id"])
        except Deployment.DoesNotExist:
            self.refuse(f"There is no deployment {options['id']}. `manage.py deployment list` shows those there are.", options)

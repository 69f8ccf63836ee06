"""`manage.py deployment`: list, show, approve, cancel and repeat deployments."""

from argparse import ArgumentParser
from typing import Any

from control_plane.base.terminal import table
from control_plane.deployments import approvals, cancelling, requests
from control_plane.deployments.models import Deployment
from control_plane.deployments.serializers import deployment_as_dict
from control_plane.deployments.terminal import DeployingCommand
from stacks import names

MAX_LISTED = 100
# Fields that `show` prints on lines of their own, or leaves to --json.
ELSEWHERE = ("changes", "resources", "plan", "covers", "stages")


class Command(DeployingCommand):
    """Deployments from a terminal."""

    help = "Look at deployments and their logs; approve, cancel and repeat them."

    def add_verbs(self) -> None:
        listing = self.verb("list", self.list, f"List the newest deployments (at most {MAX_LISTED}).")
        listing.add_argument("--group", metavar="slug", help="Only this group's.")
        listing.add_argument("--state", choices=Deployment.State.values, help="Only those in this state.")
        _add_identifier(self.verb("show", self.show_one, "Show a deployment."))
        _add_identifier(self.verb("log", self.log, "Print a deployment's log."))
        _add_identifier(self.verb("retry", self.retry, "Deploy the stack of an ended deployment again.", deploys=True))
        _add_identifier(
            self.verb("cancel", self.cancel, "End a deployment: at once while it waits, as soon as AWS can while it runs.")
        )
        _add_identifier(self.verb("approve", self.approve, "Let a deployment that waits for approval go on.", deploys=True))
        reject = self.verb("reject", self.reject, "Refuse a deployment that waits for approval.")
        _add_identifier(reject)
        reject.add_argument("--reason", default="", help="Why, for who asked for it.")

    def list(self, options: dict[str, Any]) -> None:
        deployments = Deployment.objects.select_related("stack").prefetch_related("changes").order_by("-pk")
        if options["group"]:
            deployments = deployments.filter(stack__name=names.group_stack(options["group"]))
        if options["state"]:
            deployments = deployments.filter(state=options["state"])
        documents = [deployment_as_dict(deployment) for deployment in deployments[:MAX_LISTED]]
        rows = [
            [
                str(document["id"]),
                document["stack"],
                document["state"],
                document["created_at"][:19],
                document["changes"][-1]["summary"] if document["changes"] else "",
            ]
            for document in documents
        ]
        self.show(options, documents, table(rows, ["ID", "STACK", "STATE", "ASKED FOR", "WHAT FOR"]))

    def show_one(self, options: dict[str, Any]) -> None:
        document = deployment_as_dict(self._find(options))
        lines = [
            f"{name}: {value}" for name, value in document.items() if name not in ELSEWHERE and value not in ("", None, {}, False)
        ]
        lines += [f"- {change['summary']} ({change['actor']})" for change in document["changes"]]
        lines += [
            f"{resource.get('state', ''):8} {resource.get('type', '')} {resource.get('logical_id', '')}"
            for resource in document["resources"]
        ]
        self.show(options, document, "\n".join(lines))

    def log(self, options: dict[str, Any]) -> None:
        lines = list(self._find(options).log.all())
        self.show(options, [line.as_dict() for line in lines], "\n".join(f"{line.at:%H:%M:%S}  {line.text}" for line in lines))

    def retry(self, options: dict[str, Any]) -> None:
        successor = requests.deploy_again(self._find(options), actor=self.actor)
        self.follow(options, successor, {}, f"{successor.stack.title} is being deployed again.")

    def cancel(self, options: dict[str, Any]) -> None:
        deployment = cancelling.cancel(self._find(options), actor=self.actor)
        text = "It ends as soon as AWS can take it back." if deployment.is_open else f"It is cancelled. {deployment.advice}"
        self.show(options, {"deployment": deployment_as_dict(deployment)}, text)

    def approve(self, options: dict[str, Any]) -> None:
        deployment = approvals.approve(self._find(options), actor=self.actor)
        self.follow(options, deployment, {}, f"Approved at generation {deployment.generation}.")

    def reject(self, options: dict[str, Any]) -> None:
        deployment = approvals.reject(self._find(options), actor=self.actor, reason=options["reason"].strip())
        self.show(options, {"deployment": deployment_as_dict(deployment)}, f"Refused. {deployment.advice}")

    def _find(self, options: dict[str, Any]) -> Deployment:
        try:
            return Deployment.objects.select_related("stack").get(pk=options["id"])
        except Deployment.DoesNotExist:
            self.refuse(f"There is no deployment {options['id']}. `manage.py deployment list` shows those there are.", options)


def _add_identifier(parser: ArgumentParser) -> None:
    parser.add_argument("id", type=int)

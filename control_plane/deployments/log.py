"""The log of a running deployment: each line is stored as it comes, and the progress that it tells is kept."""

import re

from control_plane.deployments.models import Deployment, LogLine

# CDK's `--progress events`: 'Stack |  3/10 | 1:02:03 AM | CREATE_COMPLETE | AWS::IAM::Role | Federated/Role (FederatedRole1)'.
_EVENT = re.compile(r"\|\s*(?P<done>\d+)(?:/(?P<total>\d+))?\s*\|[^|]*\|\s*(?P<status>[A-Z_]+)\s*\|\s*(?P<type>[\w:]+)\s*\|\s*(?P<what>.*)")
_WORDS = {"CREATE": "Making", "UPDATE": "Changing", "DELETE": "Removing", "ROLLBACK": "Undoing", "REVIEW": "Preparing"}
LONGEST_LINE = 4000


class DeploymentLog:
    """Writes the lines of one deployment, numbered from where an earlier writer stopped."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._number = LogLine.objects.filter(deployment=deployment).count()

    def write(self, text: str) -> None:
        """Store one line and update the progress; blank lines are left out."""
        if not text.strip():
            return
        self._number += 1
        LogLine.objects.create(deployment=self._deployment, number=self._number, text=text[:LONGEST_LINE])
        if event := _EVENT.search(text):
            self._advance(event)

    def step(self, doing: str) -> None:
        """Say what is being done now, in the log and on the page."""
        self.write(doing)
        Deployment.objects.filter(pk=self._deployment.pk).update(doing=doing)

    def _advance(self, event: re.Match[str]) -> None:
        verb = _WORDS.get(event["status"].split("_")[0], "Working on")
        doing = f"{verb} {event['type'].removeprefix('AWS::').replace('::', ' ')}"
        fields: dict[str, str | int] = {"doing": doing, "resources_done": int(event["done"])}
        if event["total"]:
            fields["resources_total"] = int(event["total"])
        Deployment.objects.filter(pk=self._deployment.pk).update(**fields)

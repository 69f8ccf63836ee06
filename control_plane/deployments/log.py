"""The log of a running deployment: each line is stored as it comes, and the progress that it tells is kept."""

import re

from control_plane.deployments.models import Deployment, LogLine

# CDK's `--progress events`: 'Stack |  3/10 | 1:02:03 AM | CREATE_COMPLETE | AWS::IAM::Role | Federated/Role (FederatedRole1)'.
_EVENT = re.compile(
    r"\|\s*(?P<done>\d+)(?:/(?P<total>\d+))?\s*\|[^|]*\|\s*(?P<status>[A-Z_]+)\s*\|\s*(?P<type>[\w:]+)\s*\|\s*(?P<what>.*)"
)
_WORDS = {"CREATE": "Making", "UPDATE": "Changing", "DELETE": "Removing", "ROLLBACK": "Undoing", "REVIEW": "Preparing"}
LONGEST_LINE = 4000
# Where the steps before CloudFormation's own end, in percent of a usual run: synthesis is most of it.
DEPLOYING_PERCENT = 60


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

    def step(self, doing: str, percent: int) -> None:
        """Say what is being done now and how far that is, in the log and on the page."""
        self.write(doing)
        Deployment.objects.filter(pk=self._deployment.pk).update(doing=doing, percent=percent)

    def _advance(self, event: re.Match[str]) -> None:
        verb = _WORDS.get(event["status"].split("_")[0], "Working on")
        doing = f"{verb} {event['type'].removeprefix('AWS::').replace('::', ' ')}"
        total = int(event["total"] or 0)
        # CloudFormation counts resources that it only looked at among those that are done, though not in the total.
        done = min(int(event["done"]), total)
        percent = DEPLOYING_PERCENT + (95 - DEPLOYING_PERCENT) * done // total if total else DEPLOYING_PERCENT
        Deployment.objects.filter(pk=self._deployment.pk).update(
            doing=doing, resources_done=done, resources_total=total, percent=percent
        )

"""Log and progress of a running deployment: gathered for a moment, then stored together."""

import time
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from control_plane.deployments.deployers.port import ResourceEvent
from control_plane.deployments.models import Deployment, LogLine
from control_plane.deployments.plans import Plan

MAX_LINE_CHARACTERS = 4000
# How long lines are gathered before they are stored: too short for a person who watches to notice.
GATHER_SECONDS = 0.25
# The part of CloudFormation's own work, in percent of a usual run.
EXECUTING_PERCENT, EXECUTED_PERCENT = 30, 95
_WORDS = {"CREATE": "Making", "UPDATE": "Changing", "DELETE": "Removing", "ROLLBACK": "Undoing", "IMPORT": "Adopting"}


class DeploymentTakenOver(RuntimeError):
    """Another worker has taken the deployment over, and writes its log."""


class DeploymentLog:
    """Writer of one deployment's log lines, progress and resource states. Not thread-safe."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._number: int = LogLine.objects.filter(deployment=deployment).aggregate(last=Max("number"))["last"] or 0
        self._lines: list[LogLine] = []
        self._fields: dict[str, Any] = {}
        self._resources: dict[str, dict[str, Any]] = {}
        self._due = 0.0

    def write(self, text: str) -> None:
        """Add one line, cut to MAX_LINE_CHARACTERS; blank lines are left out."""
        if text.strip():
            self._number += 1
            self._lines.append(LogLine(deployment=self._deployment, number=self._number, text=text[:MAX_LINE_CHARACTERS]))
        self.flush_if_due()

    def step(self, doing: str, percent: int) -> None:
        """Record what is being done now and the progress in percent, for the log and the page."""
        self._fields |= {"doing": doing, "percent": percent}
        self.write(doing)

    def plan(self, plan: Plan) -> None:
        """Record the plan, with all its resources waiting."""
        self._resources = {
            change.logical_id: {
                "logical_id": change.logical_id,
                "type": change.type,
                "action": change.action,
                "state": "waiting",
                "reason": "",
                "seconds": None,
                "began": 0.0,
            }
            for change in plan.resources
        }
        self._fields["plan"] = plan.to_json()
        self._count()

    def resource(self, event: ResourceEvent) -> None:
        """Record a resource's event, and its line in the log."""
        self.write(f"{event.status}  {event.type}  {event.logical_id}{f'  {event.reason}' if event.reason else ''}")
        if event.type != "AWS::CloudFormation::Stack":
            self._fields["doing"] = f"{_WORDS.get(event.status.split('_')[0], 'Working on')} {_type_in_words(event.type)}"
        if (resource := self._resources.get(event.logical_id)) is None:
            return
        now = time.monotonic()
        if event.status.endswith("_IN_PROGRESS"):
            resource |= {"state": "running", "began": resource["began"] or now}
        else:
            state = "failed" if event.status.endswith("_FAILED") else "done"
            seconds = round(now - resource["began"], 2) if resource["began"] else None
            resource |= {"state": state, "reason": event.reason, "seconds": seconds}
        self._count()

    def complete(self) -> None:
        """Mark all resources as done, whether their events came through or not."""
        for resource in self._resources.values():
            resource["state"] = "done"
        self._count()

    def flush_if_due(self) -> None:
        """Store what was gathered, if GATHER_SECONDS have passed. Raises DeploymentTakenOver."""
        if time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Store what was gathered. Raises DeploymentTakenOver if another worker has taken the deployment over."""
        self._due = time.monotonic() + GATHER_SECONDS
        if not self._lines and not self._fields:
            return
        try:
            with transaction.atomic():
                LogLine.objects.bulk_create(self._lines)
                if self._fields:
                    ours = Deployment.objects.filter(
                        pk=self._deployment.pk, worker=self._deployment.worker, attempts=self._deployment.attempts
                    )
                    if not ours.update(**self._fields):
                        raise DeploymentTakenOver
        except IntegrityError as error:
            raise DeploymentTakenOver from error
        self._lines, self._fields = [], {}

    def _count(self) -> None:
        resources = [{key: value for key, value in resource.items() if key != "began"} for resource in self._resources.values()]
        done, total = sum(resource["state"] == "done" for resource in resources), len(resources)
        span = EXECUTED_PERCENT - EXECUTING_PERCENT
        percent = EXECUTING_PERCENT + (span * done // total if total else 0)
        self._fields |= {"resources": resources, "resources_done": done, "resources_total": total, "percent": percent}
        self.flush_if_due()


def _type_in_words(name: str) -> str:
    return name.removeprefix("AWS::").replace("::", " ")

"""Base of commands that deploy: wait for a deployment, show its progress, and exit with a status that says how it ended."""

import sys
import time
from argparse import ArgumentParser
from typing import Any

from control_plane.base.config import config
from control_plane.base.terminal import EXIT_STILL_WAITING, Verb, VerbCommand
from control_plane.deployments.backoff import MAX_TRIES
from control_plane.deployments.models import Deployment
from control_plane.deployments.serializers import deployment_as_dict

EXIT_DEPLOYMENT_FAILED = 1
WAIT_SECONDS = 1800
POLL_SECONDS = 0.2


class DeployingCommand(VerbCommand):
    """A command with verbs, some of which start deployments."""

    def verb(self, name: str, run: Verb, description: str, *, deploys: bool = False) -> ArgumentParser:
        """Add a verb and return its parser. One that `deploys` gets --wait."""
        parser = super().verb(name, run, description)
        if deploys:
            parser.add_argument("--wait", action="store_true", help="Wait for the deployment; the exit status says how it ended.")
            parser.add_argument(
                "--timeout", type=float, default=WAIT_SECONDS, help=f"Longest wait in seconds (default {WAIT_SECONDS})."
            )
            parser.add_argument(
                "--until-approval", action="store_true", help="With --wait: end with status 3 where it waits for an approval."
            )
        return parser

    def follow(self, options: dict[str, Any], deployment: Deployment, document: dict[str, Any], text: str) -> None:
        """Print what was started; with --wait, wait for its end, print it, and exit with a status that says how it ended."""
        if options["wait"]:
            deployment = self._wait(deployment, options["timeout"], until_approval=options["until_approval"])
        self.show(options, document | {"deployment": deployment_as_dict(deployment)}, f"{text}\n{_summary(deployment)}")
        if deployment.state in (Deployment.State.FAILED, Deployment.State.CANCELLED):
            sys.exit(EXIT_DEPLOYMENT_FAILED)
        if options["wait"] and deployment.is_open:
            sys.exit(EXIT_STILL_WAITING)

    def follow_all(
        self, options: dict[str, Any], deployments: list[Deployment], document: dict[str, Any], text: str, *, status: int = 0
    ) -> None:
        """Follow any number of deployments, as `follow` does one. `status` is the exit status of the rest of the command."""
        if options["wait"]:
            deadline = time.monotonic() + options["timeout"]
            deployments = self._wait_for_all(deployments, deadline, until_approval=options["until_approval"])
        document = document | {"deployments": [deployment_as_dict(deployment) for deployment in deployments]}
        self.show(options, document, "\n".join([text, *map(_summary, deployments)]))
        if status or any(deployment.state in (Deployment.State.FAILED, Deployment.State.CANCELLED) for deployment in deployments):
            sys.exit(status or EXIT_DEPLOYMENT_FAILED)
        if options["wait"] and any(deployment.is_open for deployment in deployments):
            sys.exit(EXIT_STILL_WAITING)

    def _wait_for_all(self, deployments: list[Deployment], deadline: float, *, until_approval: bool) -> list[Deployment]:
        """Wait for deployments one after the other. After one that waits for approval, the later ones are not waited for either."""
        seen = list[Deployment]()
        for deployment in deployments:
            is_stopped = until_approval and any(before.state == Deployment.State.APPROVAL for before in seen)
            seconds = 0.0 if is_stopped else max(0.0, deadline - time.monotonic())
            seen.append(self._wait(deployment, seconds, until_approval=until_approval))
        return seen

    def _wait(self, deployment: Deployment, seconds: float, *, until_approval: bool) -> Deployment:
        """Wait until it ends or the time is up; one that goes on in a later deployment is followed there."""
        deadline, shown = time.monotonic() + seconds, ""
        while (deployment.is_open or deployment.superseded_by_id) and time.monotonic() < deadline:
            if (now := _progress(deployment)) != shown:
                self.stderr.write(shown := now)
            if until_approval and deployment.state == Deployment.State.APPROVAL:
                break
            if deployment.is_open:
                time.sleep(POLL_SECONDS)
            deployment = Deployment.objects.select_related("stack").get(pk=deployment.superseded_by_id or deployment.pk)
        return deployment


def _progress(deployment: Deployment) -> str:
    if deployment.state == Deployment.State.QUEUED:
        if deployment.attempts and deployment.not_before:
            until = f"{deployment.not_before:%H:%M:%S} UTC"
            return f"       waiting until {until} for try {deployment.attempts + 1} of {MAX_TRIES}: {deployment.error}"
        return "       waiting for the worker"
    if deployment.state == Deployment.State.APPROVAL:
        page = f"{config().site_url}{deployment.get_absolute_url()}"
        return f"       waits for a second administrator: {page}, or `manage.py deployment approve {deployment.pk}`"
    if deployment.superseded_by_id:
        return f"       goes on in deployment {deployment.superseded_by_id}"
    filled = deployment.percent // 5
    tries = f" (try {deployment.attempts})" if deployment.attempts > 1 else ""
    return f"[{'#' * filled}{'.' * (20 - filled)}] {deployment.percent:3d}%  {deployment.doing}{tries}"


def _summary(deployment: Deployment) -> str:
    line = f"Deployment {deployment.pk} of {deployment.stack.name}: {deployment.state}"
    if deployment.state in (Deployment.State.FAILED, Deployment.State.CANCELLED):
        return f"{line}\n{deployment.error}\n{deployment.advice}"
    if deployment.state == Deployment.State.APPROVAL:
        return f"{line}; an administrator decides at {config().site_url}{deployment.get_absolute_url()}"
    if deployment.is_open:
        return f"{line}; `manage.py deployment show {deployment.pk}` follows it"
    return f"{line} ({deployment.cloudformation_status})"

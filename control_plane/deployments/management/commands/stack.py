"""`manage.py stack`: status of each stack on AWS, drift checks and repair."""

import sys
from argparse import ArgumentParser
from typing import Any

from control_plane.base.polling import poll_until
from control_plane.base.terminal import EXIT_STILL_WAITING, table
from control_plane.deployments import requests
from control_plane.deployments.drift_schedule import start_due_drift_checks
from control_plane.deployments.models import DriftState, Stack
from control_plane.deployments.serializers import stack_as_dict
from control_plane.deployments.stack_status import status_of, worst_first
from control_plane.deployments.terminal import POLL_SECONDS, WAIT_SECONDS, DeployingCommand

MAX_LISTED = 1000
EXIT_DIFFERS = 1


class Command(DeployingCommand):
    """Stacks from a terminal."""

    help = "Look at stacks, compare AWS with what was deployed, and put it back."

    def add_verbs(self) -> None:
        self.verb("list", self.list, f"List the stacks, those that need a look first (at most {MAX_LISTED}).")
        _add_identifier(self.verb("show", self.show_one, "Show a stack, and what differs on AWS."))
        check = self.verb("check", self.compare, "Have a worker compare AWS with what was deployed.")
        _add_identifier(check)
        check.add_argument("--wait", action="store_true", help="Wait for the answer; exit status 1 says that something differs.")
        check.add_argument("--timeout", type=float, default=WAIT_SECONDS, help=f"Longest wait in seconds (default {WAIT_SECONDS}).")
        self.verb("drift", self.compare_all, "Have a worker compare the stacks that were not for 20 hours with AWS (50 at a time).")
        _add_identifier(self.verb("repair", self.repair, "Put AWS back to what was deployed.", deploys=True))
        ours = self.verb("deploy-ours", self.deploy_ours, "Have AWS hold what a restored database says.", deploys=True)
        _add_identifier(ours)

    def list(self, options: dict[str, Any]) -> None:
        stacks = worst_first()[:MAX_LISTED]
        rows = [
            [stack.name, f"{stack.deployed_generation}/{stack.generation}", stack.drift_state, stack.status] for stack in stacks
        ]
        self.show(
            options, [stack_as_dict(stack) for stack in stacks], table(rows, ["STACK", "HELD/WANTED", "DRIFT", "CLOUDFORMATION"])
        )

    def show_one(self, options: dict[str, Any]) -> None:
        stack = self._find(options)
        self.show(options, stack_as_dict(stack), _described(stack))

    def compare(self, options: dict[str, Any]) -> None:
        stack = self._find(options)
        requests.request_check(stack, actor=self.actor)
        poll_until(
            stack.refresh_from_db,
            lambda _: stack.drift_state != DriftState.CHECKING,
            seconds=options["timeout"] if options["wait"] else 0,
            every=POLL_SECONDS,
        )
        self.show(options, stack_as_dict(stack), _described(stack))
        if not options["wait"]:
            return
        if stack.drift_state == DriftState.CHECKING:
            sys.exit(EXIT_STILL_WAITING)
        if stack.drift_state != DriftState.IN_SYNC:
            sys.exit(EXIT_DIFFERS)

    def compare_all(self, options: dict[str, Any]) -> None:
        started = start_due_drift_checks(at_any_hour=True)
        self.show(
            options, {"started": started}, f"{started} stacks are being compared with AWS; `manage.py stack list` tells the rest."
        )

    def repair(self, options: dict[str, Any]) -> None:
        stack = self._find(options)
        deployment = requests.request_repair(stack, actor=self.actor)
        self.follow(options, deployment, {"stack": stack.name}, f"{stack.title} is being repaired.")

    def deploy_ours(self, options: dict[str, Any]) -> None:
        stack = self._find(options)
        deployment = requests.deploy_ours(stack, actor=self.actor)
        self.follow(options, deployment, {"stack": stack.name}, f"What the database says of {stack.title} is being deployed.")

    def _find(self, options: dict[str, Any]) -> Stack:
        try:
            return Stack.objects.get(name=options["name"])
        except Stack.DoesNotExist:
            self.refuse(f"There is no stack {options['name']!r}. `manage.py stack list` shows those there are.", options)


def _add_identifier(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="The stack's name on AWS, such as Group-example-lab.")


def _held(stack: Stack) -> str:
    if stack.needs_decision:
        return f"generation {stack.newer_generation} on AWS, newer than the database's {stack.generation}: needs a decision"
    if stack.is_up_to_date:
        return f"up to date (generation {stack.generation})"
    return f"generation {stack.deployed_generation} on AWS, {stack.generation} wanted"


def _described(stack: Stack) -> str:
    lines = [
        f"{stack.name}: {stack.get_drift_state_display()}; {_held(stack)}",
        *(
            f"- {row.type} {row.resource} {row.status}{f': {row.path} is {row.actual!r}, not {row.expected!r}' if row.path else ''}"
            f"{f' ({row.note})' if row.note else ''}"
            for row in status_of(stack).rows
        ),
    ]
    return "\n".join(lines)

"""Deployer by CDK's own engine, kept loaded in a Node process (`resident_deployer.mjs`): no start-up, events instead of text."""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from control_plane.base import aws
from control_plane.base.config import ROOT, config
from control_plane.deployments import failures
from control_plane.deployments.deployers._environment import child_environment
from control_plane.deployments.deployers._json_child import Child, ChildDied, Conversation, KeptChild, Message
from control_plane.deployments.deployers.iam_comparison import compare
from control_plane.deployments.deployers.port import Declined, DeployerFailure, DeployerMissing, ResourceEvent, Target, Watcher
from control_plane.deployments.models import Failure
from control_plane.deployments.plans import Plan, ResourceChange, plan_from_comparison
from stacks.environment import node_folder

SCRIPT = Path(__file__).with_name("resident_deployer.mjs")
TICK_SECONDS = 0.5
# A process that does not answer a ping for so long hangs: its one thread is never busy for seconds. Waiting for AWS does not
# block it, however long that takes: each deployment has time limits of its own, and is ended alone.
SILENCE_SECONDS = 20.0
# Time limit of one call of AWS, which answers within seconds: after that the connection hangs.
CALL_SECONDS = 60.0
# A diff reads templates and makes no change set. Other tasks of the worker wait for it.
DIFF_SECONDS = 120.0
# Without a limit Node lets its heap grow for as long as the machine has memory; the engine needs half of this.
HEAP_MB = 1024
# Of CDK's message of a failure.
MAX_MESSAGE_CHARACTERS = 1000
DIED_ADVICE = "It is started again, and first checks what AWS did meanwhile."


class ResidentDeployer:
    """Deployer with one Node process for all deployments of a worker, started again when it has died or hangs."""

    def __init__(self) -> None:
        command = [_node(), f"--max-old-space-size={HEAP_MB}", str(SCRIPT)]
        environment = {**child_environment(), "AWS_CALL_MS": str(round(CALL_SECONDS * 1000))}
        self._kept = KeptChild("the resident deployer", command, environment)

    def warm(self) -> None:
        """Start the process without waiting for it. Raises DeployerMissing."""
        if not (ROOT / "node_modules/@aws-cdk/toolkit-lib").exists() or shutil.which(_node()) is None:
            raise DeployerMissing("CDK's engine is not installed for Node.", "Run `make install`; the plain `cdk deploy` is used.")
        self._kept.warm()

    def deploy(self, target: Target, watcher: Watcher) -> None:
        """Deploy; see `Deployer`. Needs the target's assembly."""
        child = self._child()
        request = {
            "op": "deploy",
            "assembly": str(target.assembly),
            "stack": target.stack_name,
            "revertDrift": target.revert_drift,
        }
        try:
            with child.request(request) as conversation:
                try:
                    _Deployment(conversation, watcher).follow()
                except (Declined, DeployerFailure, ChildDied):
                    raise
                except BaseException:
                    # Nobody watches any more, so the change set must not be executed.
                    conversation.send({"op": "forget"})
                    raise
        except ChildDied as error:
            raise DeployerFailure(f"{str(error).capitalize()} while it deployed.", DIED_ADVICE, Failure.RETRYABLE) from error

    def diff(self, assembly: Path, stack_name: str) -> Plan:
        """Return what deploying this assembly would change, by CDK's own diff. Raises DeployerFailure."""
        child = self._child()
        deadline = time.monotonic() + DIFF_SECONDS
        try:
            with child.request({"op": "diff", "assembly": str(assembly), "stack": stack_name}) as conversation:
                while time.monotonic() < deadline:
                    message = conversation.receive(TICK_SECONDS)
                    if message and message["event"] == "diff":
                        return _plan(message)
                    if message and message["event"] == "error":
                        raise _failure(message)
                conversation.send({"op": "end"})
        except ChildDied as error:
            raise DeployerFailure(f"{str(error).capitalize()}.", DIED_ADVICE, Failure.RETRYABLE) from error
        raise DeployerFailure("CDK's diff took too long.", "Ask for it again.", Failure.RETRYABLE)

    def end(self) -> None:
        """End the process."""
        self._kept.end()

    @property
    def pid(self) -> int | None:
        """The Node process's id, if it runs."""
        return self._kept.pid

    def check(self) -> None:
        """End the process if it hangs; open conversations then raise ChildDied."""
        child = self._kept.running
        if child is None or not child.ready.is_set():
            return
        try:
            with child.request({"op": "ping"}) as conversation:
                if conversation.receive(SILENCE_SECONDS) is None:
                    child.kill()
        except ChildDied:
            # The next use starts another.
            return

    def _child(self) -> Child:
        try:
            return self._kept.get()
        except ChildDied as error:
            raise DeployerMissing(f"{str(error).capitalize()}.", "The plain `cdk deploy` is used instead.") from error


class _Deployment:
    """One deployment's conversation: passes messages to the watcher, and holds the time limits of its stages."""

    def __init__(self, conversation: Conversation, watcher: Watcher) -> None:
        self._conversation, self._watcher = conversation, watcher
        self._stage, self._deadline = "making the change set", time.monotonic() + config().cohort_change_set_seconds

    def follow(self) -> None:
        """Follow the deployment to its end. Raises Declined, DeployerFailure, ChildDied, or what the watcher raises."""
        while True:
            self._watcher.tick()
            message = self._conversation.receive(TICK_SECONDS)
            if message is None:
                self._check_time()
            elif self._handle(message):
                return

    def _handle(self, message: Message) -> bool:
        match message["event"]:
            case "line":
                self._watcher.line(message["text"])
            case "resource":
                event = ResourceEvent(message["logicalId"], message["type"], message["status"], message["reason"])
                self._watcher.resource(event)
            case "plan":
                self._conversation.send({"op": "answer", "go": self._watcher.may_execute(_plan(message))})
                self._stage, self._deadline = "deploying", time.monotonic() + config().cohort_deploy_seconds
            case "aborted":
                raise Declined
            case "error":
                raise _failure(message)
            case "done":
                return True
        return False

    def _check_time(self) -> None:
        if time.monotonic() < self._deadline:
            return
        # The process serves other deployments too: only this one is ended, and its change set is never executed.
        self._conversation.send({"op": "end"})
        raise DeployerFailure(
            f"This deployment was ended because {self._stage} took too long.",
            "CloudFormation may still be at work: the next try waits for it. Other deployments go on.",
            Failure.RETRYABLE,
        )


def _plan(message: Message) -> Plan:
    statements = compare(message["before"], message["after"], now=datetime.now(UTC))
    return plan_from_comparison(statements, [ResourceChange(**resource) for resource in message["resources"]])


def _failure(message: Message) -> DeployerFailure:
    text = f"{message['name']} {message['code']} {message['status']} {message['message']}"
    kind = Failure.RETRYABLE if message["code"] in aws.PASSING_CODES else failures.classify_text(text)
    lines = [line.strip() for line in message["message"].splitlines() if line.strip()] or [message["name"]]
    # A heading says nothing without what stands below it.
    said = " ".join(lines)[:MAX_MESSAGE_CHARACTERS] if lines[0].endswith(":") else lines[0]
    return DeployerFailure(f"CDK could not deploy it: {said}", failures.advice_for(message["message"]), kind, message["message"])


def _node() -> str:
    """Return the command of the installed Node, else of whichever is on the path."""
    folder = node_folder()
    return str(folder / "node") if folder else "node"

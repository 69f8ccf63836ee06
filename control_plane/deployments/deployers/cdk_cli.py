"""Deployer that runs the plain `cdk deploy`, as a platform engineer would by hand: the fallback that always works."""

import json
import re
import shlex
import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from control_plane.base.config import ROOT, config
from control_plane.deployments import cloudformation, failures
from control_plane.deployments.deployers._environment import child_environment, work_folder
from control_plane.deployments.deployers._subprocess import TimedOut, run_streaming
from control_plane.deployments.deployers.iam_comparison import compare
from control_plane.deployments.deployers.port import Declined, DeployerFailure, ResourceEvent, Target, Watcher
from control_plane.deployments.models import Failure
from control_plane.deployments.plans import Plan, plan_from_comparison

# CDK's `--progress events`: 'Stack |  3/10 | 1:02:03 AM | CREATE_COMPLETE | AWS::IAM::Role | Federated/Role (FederatedRole1)'.
_EVENT = re.compile(
    r"\|\s*\d+(?:/\d+)?\s*\|[^|]*\|\s*(?P<status>[A-Z_]+)\s*\|\s*(?P<type>[\w:]+)\s*\|\s*(?P<what>.*?)(?:\s\((?P<id>\w+)\))?\s*$"
)
_LAST_LINES = 12


class CdkCli:
    """Deployer that runs the CDK command line, each time with an output folder of its own, since CDK locks it."""

    def deploy(self, target: Target, watcher: Watcher) -> None:
        """Deploy; see `Deployer`. Ends the CLI with all its children when it takes longer than COHORT_DEPLOY_SECONDS."""
        program = config().cohort_cdk
        if not Path(program).exists() and shutil.which(program) is None:
            raise DeployerFailure(
                f"The CDK command line is not installed: there is no {program}.",
                "Nothing was changed on AWS. Run `make install`, or set COHORT_CDK to where it is, then deploy again.",
            )
        with tempfile.TemporaryDirectory(prefix="cdk-", dir=work_folder()) as output:
            plan = None
            if config().require_approval == "broadening":
                if target.assembly is None or target.place is None:
                    self._run([program, *_synthesis(target, output)], watcher)
                    target = replace(target, assembly=Path(output))
                plan = plan_of(target)
            if not watcher.may_execute(plan):
                raise Declined
            self._run([program, *_deployment(target, output)], watcher)

    def _run(self, command: list[str], watcher: Watcher) -> None:
        watcher.line("$ " + shlex.join(["cdk", *command[1:4]]))
        seconds, last_lines = config().cohort_deploy_seconds, list[str]()

        def on_line(line: str) -> None:
            last_lines.append(line)
            del last_lines[:-_LAST_LINES]
            watcher.line(line)
            if event := _EVENT.search(line):
                watcher.resource(ResourceEvent(event["id"] or event["what"], event["type"], event["status"]))

        try:
            status = run_streaming(
                command, cwd=ROOT, env=child_environment(), on_line=on_line, on_tick=watcher.tick, seconds=seconds
            )
        except TimedOut as error:
            raise DeployerFailure(
                f"`cdk {command[1]}` was ended because it took longer than {seconds} s.",
                "CloudFormation may still be at work: the next try waits for it.",
                Failure.RETRYABLE,
            ) from error
        if status != 0:
            output = "\n".join(last_lines)
            raise DeployerFailure(
                f"`cdk {command[1]}` ended with status {status}.",
                "The log's last lines say why. Correct the cause, then deploy again.",
                failures.classify_text(output),
                output,
            )


def plan_of(target: Target) -> Plan | None:
    """Compare what the target's assembly allows with what CloudFormation has of the stack. Raises AwsFailure.

    None if that cannot be compared: the resources of nested stacks are in templates of their own.
    """
    if target.assembly is None or target.place is None:
        return None
    wanted = json.loads((target.assembly / f"{target.stack_name}.template.json").read_text(encoding="utf-8"))
    held = cloudformation.template(target.stack_name, target.place)
    if held is None or _has_nested(held) or _has_nested(wanted):
        return None
    return plan_from_comparison(compare([held.get("Resources", {})], [wanted.get("Resources", {})], now=datetime.now(UTC)), None)


def _has_nested(template: dict[str, Any]) -> bool:
    return any(resource.get("Type") == "AWS::CloudFormation::Stack" for resource in template.get("Resources", {}).values())


def _app(target: Target, output: str) -> list[str]:
    app = shlex.join([sys.executable, str(ROOT / "app.py")])
    return ["--exclusively", target.stack_name, "--context", target.context, "--app", app, "--output", output]


def _synthesis(target: Target, output: str) -> list[str]:
    return ["synth", *_app(target, output), "--quiet", "--no-notices", "--no-color", "--ci"]


def _deployment(target: Target, output: str) -> list[str]:
    # The assembly that was compared is the one that is deployed.
    source = ["--exclusively", target.stack_name, "--app", str(target.assembly)] if target.assembly else _app(target, output)
    return [
        "deploy",
        *source,
        *("--require-approval", "never"),
        *("--progress", "events"),
        *(["--revert-drift"] if target.revert_drift else []),
        "--no-notices",
        "--no-color",
        "--ci",
    ]

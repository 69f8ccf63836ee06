"""The CDK command line of this checkout, with the settings that `make up` wrote. `.venv/bin/cdk` starts it."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from stacks import environment  # noqa: E402
from stacks.env_file import EnvFileError  # noqa: E402


def main() -> None:
    """Become Node, running CDK with the same arguments."""
    # CDK keeps what it makes and knows in the site's folder, which is its owner's alone.
    os.umask(0o077)
    var = Path(os.environ.get("VAR_DIR", ROOT / "var")).resolve()
    try:
        environment.load(var)
        own = environment.isolated_for_cdk(os.environ, var / "home") if environment.is_embedded() else dict(os.environ)
    except (EnvFileError, OSError) as error:
        sys.exit(f"cohort: {error}")
    own.setdefault("CDK_DISABLE_CLI_TELEMETRY", "1")
    # CDK refuses a second run in one folder, and one checkout may serve several sites at a time. `--output` still wins.
    own.setdefault("CDK_OUTPUT", str(var / "cdk.out"))
    node, script = command()
    own["PATH"] = os.pathsep.join([str(Path(node).parent), str(ROOT / ".venv/bin"), own.get("PATH", os.defpath)])
    os.execve(node, ["node", script, *sys.argv[1:]], own)  # noqa: S606 - a program of this checkout, and the person's own words


def command() -> tuple[str, str]:
    """Return Node and CDK's script for it."""
    folder = environment.node_folder()
    if folder is None:
        sys.exit("cohort: Node is not installed for this Python. Run `make install`, and use .venv/bin/python.")
    return str(folder / "node"), str(ROOT / "node_modules/aws-cdk/bin/cdk")


if __name__ == "__main__":
    main()

"""Prepare a checkout: the virtual environment, Node's packages and the `cdk` command. Needs Python 3.11 alone.

Nothing is done where what was installed still fits the lock files, so that a second run takes no time.
"""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
LOCKS = ("requirements.txt", "requirements-dev.txt", "package-lock.json", "scripts/install.py")
STAMP = VENV / "installed"

SHIM = """#!{python}
\"\"\"The CDK command line of this checkout, with the settings that `make up` wrote.\"\"\"
import os
import sys
from pathlib import Path

from dotenv import load_dotenv

root = Path("{root}")
load_dotenv(Path(os.environ.get("VAR_DIR", root / "var")) / "env")
os.environ.setdefault("CDK_DISABLE_CLI_TELEMETRY", "1")
os.environ["PATH"] = os.pathsep.join([str(root / ".venv/bin"), os.environ.get("PATH", os.defpath)])
os.execv(root / ".venv/bin/node", ["node", str(root / "node_modules/aws-cdk/bin/cdk"), *sys.argv[1:]])
"""


def main() -> None:
    """Install what is missing, telling each step and how long it took."""
    if sys.version_info < (3, 11):  # noqa: UP036 (an older Python gets as far as this line, and no further)
        sys.exit(f"Cohort needs Python 3.11 or newer; this is {sys.version.split()[0]}. Run `make PYTHON=python3.12 ...`.")
    wanted = _digest()
    if STAMP.exists() and STAMP.read_text() == wanted and (ROOT / "node_modules/aws-cdk").exists():
        return
    _step("Making .venv", _make_venv)
    requirements = ["-r", "requirements.txt", "-r", "requirements-dev.txt"]
    _step("Installing Python packages", lambda: _run(PYTHON, "-m", "pip", "install", "-q", "--require-hashes", *requirements))
    _step("Installing Node packages", lambda: _run(VENV / "bin/npm", "ci", "--silent", "--no-audit", "--no-fund"))
    _write_shim()
    STAMP.write_text(wanted)


def _make_venv() -> None:
    if PYTHON.exists():
        return
    try:
        _run(sys.executable, "-m", "venv", str(VENV))
    except SystemExit:
        sys.exit("Python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv")


def _write_shim() -> None:
    shim = VENV / "bin/cdk"
    shim.write_text(SHIM.format(python=PYTHON, root=ROOT))
    shim.chmod(0o755)


def _digest() -> str:
    digest = hashlib.sha256(str(ROOT).encode())
    for lock in LOCKS:
        digest.update((ROOT / lock).read_bytes())
    return digest.hexdigest()


def _step(title: str, work: Callable[[], None]) -> None:
    print(f"{title} ...", flush=True)
    began = time.monotonic()
    work()
    print(f"{title}: done in {time.monotonic() - began:.0f} s", flush=True)


def _run(*command: object) -> None:
    environment = os.environ | {"PATH": os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])}
    words = [str(word) for word in command]
    finished = subprocess.run(words, cwd=ROOT, env=environment, check=False)
    if finished.returncode:
        sys.exit(f"`{' '.join(words)}` failed with status {finished.returncode}: see above. Correct it and run the same again.")


if __name__ == "__main__":
    main()

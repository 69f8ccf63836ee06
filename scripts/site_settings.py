"""The settings that `make up` writes into `$VAR_DIR/env`: its own, those given to it once, and those a person added there."""

import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from control_plane.base.config import Config
from stacks import env_file, environment
from stacks.site.host_policies import DEFAULT_PATTERNS

ACCOUNT = "111122223333"
REGION = "us-east-1"
# The Makefile names in it what was given as `make up NAME=value`.
GIVEN = "COHORT_GIVEN"
HEAD = """\
# Written by `make up` at each start. What you add or change here is kept, comments are not; what cannot be changed is refused.
# A shell reads this file as the program does. Change a setting also by `make up NAME=value`; `make up NAME=` takes it away.
"""
# What other programs call their own settings too: written down even where nobody set it, so that no shell's value comes first.
_PREFIXES = ("GOOGLE_", "GITHUB_", "ORCID_", "OIDC_", "WEBHOOK_")
_COMMON = ("ALLOWED_HOSTS", "DATABASE_URL", "DEBUG", "DEFAULT_FROM_EMAIL", "METRICS_TOKEN")
_LOCAL = re.compile(r"http://localhost:\d+")
# What a person may not set in the file of a site on the embedded AWS, unless `make up` wrote it.
_FIXED = {"COHORT_ACCOUNT": ACCOUNT, "COHORT_REGION": REGION, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
_WRITTEN = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", *_FIXED, *environment.NEUTRAL_SETTINGS)


class SettingsRefused(ValueError):
    """A setting that cannot be used, by its name. Nothing was started or changed."""


@dataclass(frozen=True)
class UpRequest:
    """The request of whoever starts `make up`: the settings given to it, and the names that stand in the shell alone."""

    given: Mapping[str, str]
    left: tuple[str, ...]


def read_port(name: str, default: int) -> int:
    """Return the port that this name is set to, in the environment alone. Raises SettingsRefused."""
    text = os.environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise SettingsRefused(f"{name} must be a port number between 1 and 65535; it is {text!r}.")
    return int(text)


def known_settings() -> frozenset[str]:
    """Return the names of the control plane's settings that a person can choose, except AWS's own."""
    return frozenset(name.upper() for name in Config.model_fields) - {"VAR_DIR", "AWS_ENDPOINT_URL"}


def read_request(shell: Mapping[str, str], kept: Mapping[str, str], *, is_embedded: bool) -> UpRequest:
    """Separate the settings given to `make up` from those that the shell has for other programs. Raises SettingsRefused."""
    words = set(shell.get(GIVEN, "").split())
    foreign = {name for name in words if name.startswith("AWS_") and name != "AWS_PORT" and is_embedded}
    if wrong := sorted(words & {"COHORT_ACCOUNT", "COHORT_REGION"} | foreign):
        raise SettingsRefused(f"`make up` finds {wrong[0]} by itself, and takes none. Nothing was started.")
    given = words & known_settings() & shell.keys()
    # A shell that took the file in has the same values, which are no news.
    left = {name for name in known_settings() & shell.keys() - given if shell[name] != kept.get(name, "")}
    return UpRequest({name: shell[name] for name in given}, tuple(sorted(left)))


def check_kept(kept: Mapping[str, str], file: Path, *, is_embedded: bool) -> None:
    """Check that nothing in the file contradicts how the site is started. Raises SettingsRefused, which names it."""
    where = "on the embedded AWS" if is_embedded else "on an AWS account"
    if kept.get(environment.EMBEDDED, "1" if is_embedded else "0") != ("1" if is_embedded else "0"):
        raise SettingsRefused(
            f"{file.parent} does not belong to a site {where}. Nothing was started. Choose another folder: `make up VAR_DIR=var2`."
        )
    if not is_embedded:
        return
    changed = [name for name, value in _FIXED.items() if kept.get(name, value) != value]
    foreign = [name for name in kept if name.startswith("AWS_") and name not in _WRITTEN]
    if not _LOCAL.fullmatch(kept.get("AWS_ENDPOINT_URL", "http://localhost:1")):
        changed.append("AWS_ENDPOINT_URL")
    if changed or foreign:
        raise SettingsRefused(
            f"{file} sets {', '.join(changed + foreign)}, which nobody can change {where}. Nothing was started. "
            "Take the line out, or keep an AWS account's site in another folder: `make up EMBEDDED_AWS=0 VAR_DIR=var2`."
        )


def merge_settings(kept: Mapping[str, str], given: Mapping[str, str], var: Path, url: str) -> dict[str, str]:
    """Return the changeable settings: as given now, else as kept in the file, else as `make up` begins with."""
    begun = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SITE_URL": url,
        "SECURE_COOKIES": "false",
        "BUCKET_PATTERNS": " ".join(DEFAULT_PATTERNS),
        "COHORT_MANIFEST_STORE": str(var / "manifests"),
        "EMAIL_URL": (var / "mail").as_uri(),
        **{name: default_value(name) for name in common_settings()},
    }
    lasting = {name: value for name, value in kept.items() if name not in _following(kept)}
    chosen = {name: value for name, value in given.items() if value}
    emptied = given.keys() - chosen.keys()
    return begun | {name: value for name, value in lasting.items() if name not in emptied} | chosen


def common_settings() -> Iterable[str]:
    """Return the names of settings that other programs use too."""
    return sorted(name for name in known_settings() if name in _COMMON or name.startswith(_PREFIXES))


def default_value(name: str) -> str:
    """Return a setting's default, as it is written in a file."""
    value = Config.model_fields[name.lower()].default
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return " ".join(value)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def file_text(settings: Mapping[str, str]) -> str:
    """Return the text of the file."""
    return HEAD + env_file.format_lines(settings)


def _following(kept: Mapping[str, str]) -> set[str]:
    """Return the names of settings that follow the folder and the ports, as long as nobody changed them."""
    old = Path(kept.get("VAR_DIR", "/nonexistent"))
    followed = {"COHORT_MANIFEST_STORE": str(old / "manifests"), "EMAIL_URL": (old / "mail").as_uri()}
    moving = {name for name, value in followed.items() if kept.get(name) == value}
    return moving | ({"SITE_URL"} if _LOCAL.fullmatch(kept.get("SITE_URL", "")) else set())

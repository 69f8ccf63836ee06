"""The settings of the site in /etc/cohort, for systemd's EnvironmentFile: common ones, and those of each process."""

import re
import shlex
from collections.abc import Mapping

from assets.install.host import DATA, Failed, host_path, log, write

COMMON, WEB, WORKER = "/etc/cohort/common.env", "/etc/cohort/web.env", "/etc/cohort/worker.env"
AWS_CONFIG = "/etc/cohort/aws-web.config"
PARALLEL = {"small": "2", "medium": "4"}
# What the host itself decides, so that a stray entry in the secret cannot redirect it.
OURS = {"VAR_DIR", "DATABASE_URL", "AWS_CONFIG_FILE", "AWS_EC2_METADATA_DISABLED", "PATH", "HOME", "LD_PRELOAD", "PYTHONPATH"}


def write_settings(host: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    """Write the three files, root's alone. Values are never logged. Raises Failed."""
    if bad := sorted(name for name in secrets if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name) or name in OURS):
        raise Failed(f"These names in the secret are no settings of the site: {', '.join(bad)}. Remove them and deploy again.")
    if "SECRET_KEY" not in secrets:
        raise Failed("The secret holds no SECRET_KEY. The host's stack generates one; put it back and deploy again.")
    files = {COMMON: {**common_settings(host), **secrets}, WEB: web_settings(), WORKER: worker_settings(host)}
    for path, settings in files.items():
        write(host_path(path), "".join(f"{name}={quoted(name, value)}\n" for name, value in settings.items()), 0o600)
    log(f"wrote the settings: {', '.join(files)}")


def common_settings(host: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of both processes that are no secret."""
    domain, region = host["DOMAIN"], host["REGION"]
    return {
        "VAR_DIR": DATA,
        "SITE_URL": f"https://{domain}",
        "ALLOWED_HOSTS": domain,
        "DEFAULT_FROM_EMAIL": f"Cohort <cohort@{domain}>",
        "COHORT_ACCOUNT": host["ACCOUNT"],
        "COHORT_REGION": region,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "COHORT_MANIFEST_STORE": f"s3://{host['STATE_BUCKET']}/manifests",
        "BACKUP_STORE": f"s3://{host['BACKUP_BUCKET']}/database",
        # The groups' boundary has the same: of other names the site may make a bucket, and no group would ever reach it.
        "BUCKET_PATTERNS": host["BUCKET_PATTERNS"],
        "EARLIER_VERSIONS_DAYS": host.get("EARLIER_VERSIONS_DAYS", ""),
        "REQUIRE_MFA": "staff",
        # nginx, which tells the caller's address: with a load balancer in front it has already read it from there.
        "TRUSTED_PROXIES": "1",
        "PYTHONUNBUFFERED": "1",
    }


def web_settings() -> dict[str, str]:
    """Return the settings of the web process alone: its own, lesser rights on AWS."""
    return {"AWS_CONFIG_FILE": AWS_CONFIG, "AWS_EC2_METADATA_DISABLED": "true"}


def worker_settings(host: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the worker and its timers alone."""
    return {
        "WEB_ROLE_ARN": host["WEB_ROLE_ARN"],
        "COHORT_PARALLEL": PARALLEL.get(host["SIZE"], PARALLEL["small"]),
        "CDK_DISABLE_CLI_TELEMETRY": "1",
    }


def read_settings(*paths: str) -> dict[str, str]:
    """Read the settings of these files; the later ones win. Raises Failed."""
    settings: dict[str, str] = {}
    for path in paths:
        try:
            lines = host_path(path).read_text().splitlines()
        except OSError as error:
            raise Failed(f"{host_path(path)} cannot be read: {error.strerror}. Run this as root on the host.") from None
        settings |= {name: _unquoted(value) for name, value in (line.split("=", 1) for line in lines if "=" in line)}
    return settings


def quoted(name: str, value: str) -> str:
    """Return a value as EnvironmentFile reads it (systemd.exec(5)), which cannot hold a line's end or other control characters."""
    if not value.isprintable():
        raise Failed(f"The setting {name} holds a line break or another sign that cannot be printed. Correct it and deploy again.")
    return '"' + re.sub(r'([\\"`$])', r"\\\1", value) + '"'


def _unquoted(value: str) -> str:
    inner = value.strip()
    if len(inner) >= 2 and inner[0] == inner[-1] == '"':
        return re.sub(r"\\(.)", r"\1", inner[1:-1])
    return " ".join(shlex.split(inner))

"""Fetch a session of the web role and write it where the web process reads it.

Run as cohort-worker, by cohort-web-credentials.service, every 15 minutes. A session lasts an hour, the most that AWS gives for a
role that another role assumes ("Role chaining", IAM user guide), so that three runs may fail before the site feels it.
"""

import argparse
import grp
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

SESSION_SECONDS = 3600
SESSION_NAME = "cohort-web"
OUT = Path("/run/cohort-web/credentials.json")
GROUP = "cohort-web"
# Whoever waits is the web process: rather fail soon, and be run again.
QUICK = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})


class NotRenewed(RuntimeError):
    """The session was not renewed. The message says why, what still holds, and what to do."""


def fetch(role: str) -> Mapping[str, Any]:
    """Return a fresh session of the role, as STS answers. Raises NotRenewed."""
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+", role):
        raise NotRenewed(f"WEB_ROLE_ARN is {role or 'not set'}, which is no role. Set it in /etc/cohort/worker.env.")
    try:
        answer = (
            boto3.Session()
            .client("sts", config=QUICK)
            .assume_role(RoleArn=role, RoleSessionName=SESSION_NAME, DurationSeconds=SESSION_SECONDS)
        )
    except (BotoCoreError, ClientError) as error:
        raise NotRenewed(
            f"AWS gave no session of {role}: {error} The web process keeps the session that it has until that ends. "
            "See that the host's role may assume it, and that the role trusts the host's."
        ) from None
    return answer["Credentials"]


def as_process_output(session: Mapping[str, Any]) -> str:
    """Return the session as AWS's SDKs expect it from a `credential_process` (AWS SDKs and Tools reference guide)."""
    document = {
        "Version": 1,
        "AccessKeyId": session["AccessKeyId"],
        "SecretAccessKey": session["SecretAccessKey"],
        "SessionToken": session["SessionToken"],
        "Expiration": session["Expiration"].isoformat(),
    }
    return json.dumps(document) + "\n"


def write(text: str, out: Path, group: str) -> None:
    """Write the text there in one step, readable by its owner and by that group alone. Raises NotRenewed."""
    try:
        gid = grp.getgrnam(group).gr_gid
        descriptor, beside = tempfile.mkstemp(dir=out.parent, prefix=".credentials-")
    except KeyError:
        raise NotRenewed(f"There is no group {group} on this host. The install script makes it.") from None
    except OSError as error:
        raise NotRenewed(f"{out.parent} cannot be written: {error.strerror}. systemd makes it for the service.") from None
    try:
        # Owner and mode before the secret, which nobody may read a moment too early.
        os.fchown(descriptor, -1, gid)
        os.fchmod(descriptor, 0o640)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(beside).replace(out)
    except OSError as error:
        Path(beside).unlink(missing_ok=True)
        raise NotRenewed(f"{out} was not replaced: {error.strerror}. The service's user must be in the group {group}.") from None


def main() -> None:
    """Renew the session, or end with status 1 and the reason."""
    parser = argparse.ArgumentParser(description="Renew the web process's session on AWS.")
    parser.add_argument("--role", default=os.environ.get("WEB_ROLE_ARN", ""), help="The role; otherwise WEB_ROLE_ARN.")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--group", default=GROUP, help="Whoever is in this group may read the session.")
    options = parser.parse_args()
    try:
        session = fetch(options.role)
        write(as_process_output(session), options.out, options.group)
    except NotRenewed as failure:
        sys.exit(f"cohort-web-credentials: {failure}")
    print(f"cohort-web-credentials: the web process may act as {options.role} until {session['Expiration'].isoformat()}.")


if __name__ == "__main__":
    main()

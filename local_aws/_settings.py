"""Environment of ministack, set before any of it is imported."""

import os
from pathlib import Path

HOST = "127.0.0.1"
# Beside the state: a number of seconds, read again for each resource that CloudFormation changes.
PACE_FILE = "pace"
# The same: a number of seconds by which each request is answered later.
DELAY_FILE = "delay"
# The same: 404 where a right to list under a prefix is to count for an object that is not there.
MISSING_FILE = "missing"
# The same: the seconds for which a change of IAM may not be seen, and the seed of who sees it.
IAM_DELAY_FILE = "delay_iam"
# The same: the moment (ISO 8601) that lifecycle rules take for now.
LIFECYCLE_TIME_FILE = "lifecycle_time"
# The same: the folder of S3's bodies.
BODIES_FOLDER = "bodies"


def apply(port: int, state: Path) -> None:
    """Point ministack at `state` and at loopback, with policies enforced and nothing listening but the one port."""
    os.environ.update(
        {
            "AUTH": "true",
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(port),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state / "services"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state / "objects"),
            # Listeners of their own, which ministack would start for services that Cohort does not use.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            # Unpacked archives and the like stay beside the rest of the state.
            "TMPDIR": str(state / "tmp"),
        }
    )
    for folder in ("services", "objects", "tmp"):
        (state / folder).mkdir(parents=True, exist_ok=True)

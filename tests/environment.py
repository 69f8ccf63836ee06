"""An environment of the tests' own: nothing is read from, or written to, what `make up` keeps."""

import os
import tempfile
from pathlib import Path

from stacks import environment

FOREIGN = (
    "DATABASE_URL",
    "EMAIL_URL",
    "METRICS_TOKEN",
    "NOTIFY_COMPLETION",
    "WEBHOOK_SECRET",
    "WEBHOOK_URL",
)


def prepare() -> None:
    """Set what the settings read. Must run before they are imported."""
    var = Path(tempfile.mkdtemp(prefix="cohort-tests-"))
    for name in FOREIGN:
        os.environ.pop(name, None)
    environment.isolate_this_process(
        {
            "VAR_DIR": str(var),
            "SECRET_KEY": "only-for-tests-" * 4,
            "COHORT_ACCOUNT": "111122223333",
            "COHORT_REGION": "us-east-1",
            "BUCKET_PATTERNS": "cohort-* other-*",
            "COHORT_MANIFEST_STORE": str(var / "manifests"),
            "SECURE_COOKIES": "false",
            "SITE_URL": "http://localhost:8000",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
    )


def var() -> Path:
    """The folder of all state."""
    return Path(os.environ["VAR_DIR"])


def as_dict() -> dict[str, str]:
    """The environment for a process that a test starts."""
    return dict(os.environ)

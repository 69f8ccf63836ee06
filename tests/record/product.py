"""The modules of the product that the record has to know. After a move, this is the file to mend; and the one for `tests.world`."""

import sys
from pathlib import Path
from typing import Any

import pytest

from control_plane.access.groups.services import bucket_names
from control_plane.base.config import config
from control_plane.deployments import cloudformation
from control_plane.research.storage import sessions

ROOT = Path(__file__).resolve().parents[2]
# The packages of the product, each of which is walked for tasks, settings and actions.
PACKAGES = ("control_plane", "web")
# The programs beside `manage.py` that somebody calls, by what they are called.
PROGRAMS: dict[str, tuple[str, ...]] = {
    "make help": ("make", "--no-print-directory", "help"),
    "python -m stacks.bootstrap": (sys.executable, "-m", "stacks.bootstrap", "--help"),
    "python -m local_aws": (sys.executable, "-m", "local_aws", "--help"),
    "cohort_credentials.py": (sys.executable, str(next((ROOT / "web").rglob("cohort_credentials.py"))), "--help"),
}
BOOTSTRAP = (sys.executable, "-m", "stacks.bootstrap", "template", "--account", "111122223333", "--region", "us-east-1")
# The API, by the name that it is imported by.
API = "control_plane.api.api"
APP = (sys.executable, "app.py")


def forget_settings() -> None:
    """Have the settings read anew from the environment."""
    config.cache_clear()


def forget_sessions() -> None:
    """Forget the sessions of AWS that this process keeps."""
    sessions._clients.clear()


def free_every_bucket_name(patched: pytest.MonkeyPatch) -> None:
    """Have every bucket's name be free: moto knows those of this process alone."""
    patched.setattr(bucket_names, "bucket_owner", lambda bucket: bucket_names.BucketOwner.NOBODY)


def imitate_cloudformation(patched: pytest.MonkeyPatch) -> None:
    """Have CloudFormation list nothing of a stack's inside, beside what `tests.control_plane.fakes` has it say."""
    patched.setattr(cloudformation, "resources", lambda *_: [])
    patched.setattr(cloudformation, "events_after", lambda *_: [])


def site_settings() -> Any:
    """The model of `site.toml`, with its sections."""
    from stacks.site.settings import Site

    return Site

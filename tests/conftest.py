"""What all tests need."""

import os
from collections.abc import Iterator
from functools import cache
from unittest.mock import patch

import boto3
import pytest
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import HealthCheck, settings

from control_plane.access.groups.services import bucket_names
from control_plane.base import aws
from control_plane.base.audit import append_only

# As root, PostgreSQL's package makes a user to run as, by a tool that lies where a bare PATH does not look.
os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

empty_every_table = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]


def without_triggers(case: TransactionTestCase) -> None:
    with append_only.without_triggers(connection):
        empty_every_table(case)


@pytest.fixture(autouse=True, scope="session")
def _tables_can_be_emptied() -> Iterator[None]:
    """A test with transactions of its own empties every table at its end, which the audit trail's triggers would refuse."""
    with patch.object(TransactionTestCase, "_fixture_teardown", without_triggers):
        yield


@pytest.fixture(autouse=True, scope="session")
def _each_environment_has_its_session() -> Iterator[None]:
    """A process of the product asks one AWS as one identity; the tests of one process ask many, each by its environment."""
    with patch.object(aws, "_session", _session):
        yield


def _session() -> boto3.session.Session:
    return _session_of(*(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_PROFILE")))


@cache
def _session_of(*identity: str | None) -> boto3.session.Session:
    return boto3.session.Session()


@pytest.fixture(autouse=True)
def free_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bucket's name is free: most tests have no AWS to ask. Those that have put the question back."""
    monkeypatch.setattr(bucket_names, "bucket_owner", lambda bucket: bucket_names.BucketOwner.NOBODY)

"""Rows that most tests need, made by the services themselves."""

from pathlib import Path

import pytest

from control_plane.access.groups.models import Analysis, Group
from control_plane.access.groups.services.analyses import create_analysis
from control_plane.access.groups.services.groups import create_group
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.deployments.models import Deployment, Stack
from tests.control_plane.legacy_profiles import Importer

OPERATOR = Actor(label="terminal:tester", channel="terminal")


@pytest.fixture
def operator() -> Actor:
    return OPERATOR


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_superuser("admin@example.org", "a long enough password")


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada@example.org")


@pytest.fixture
def grace(db: None) -> User:
    return User.objects.create_user("grace@example.org")


@pytest.fixture
def group(db: None) -> Group:
    return create_group(slug="example-lab", name="Example Lab", actor=OPERATOR)[0]


def settle(stack: Stack) -> None:
    """As if CloudFormation had deployed all that was asked for."""
    stack.refresh_from_db()
    Deployment.objects.open().filter(stack=stack).update(state=Deployment.State.SUCCEEDED)
    Stack.objects.filter(pk=stack.pk).update(deployed_generation=stack.generation, status="UPDATE_COMPLETE")
    stack.refresh_from_db()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a transaction's end happens at once: a test's own transaction never ends."""
    monkeypatch.setattr("django.db.transaction.on_commit", lambda function, **_: function())


@pytest.fixture
def importer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Importer:
    return Importer(tmp_path, capsys)


@pytest.fixture
def epi() -> Analysis:
    return create_analysis(slug="epi", bucket="cohort-epi", actor=OPERATOR)[0]

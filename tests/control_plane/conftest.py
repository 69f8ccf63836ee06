"""Rows that most tests need."""

from pathlib import Path

import pytest

from control_plane.access.groups.models import Analysis, Group
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from tests.actors import OPERATOR
from tests.control_plane.legacy_profiles import Importer
from tests.factories import PASSWORD, AnalysisFactory, GroupFactory, UserFactory, number_anew


@pytest.fixture(autouse=True)
def _rows_are_numbered_anew() -> None:
    number_anew()


@pytest.fixture
def operator() -> Actor:
    return OPERATOR


@pytest.fixture
def administrator(db: None) -> User:
    return UserFactory.create(email="admin@example.org", password=PASSWORD, administrator=True)


@pytest.fixture
def ada(db: None) -> User:
    return UserFactory.create(email="ada@example.org")


@pytest.fixture
def grace(db: None) -> User:
    return UserFactory.create(email="grace@example.org")


@pytest.fixture
def group(db: None) -> Group:
    return GroupFactory.create(slug="example-lab", name="Example Lab")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a transaction's end happens at once: a test's own transaction never ends."""
    monkeypatch.setattr("django.db.transaction.on_commit", lambda function, **_: function())


@pytest.fixture
def importer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Importer:
    return Importer(tmp_path, capsys)


@pytest.fixture
def epi() -> Analysis:
    return AnalysisFactory.create(slug="epi", bucket="cohort-epi")

"""A group that may use an analysis, on an AWS within this process: what tests of files, configurations and jobs start from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from django.test import Client
from moto import mock_aws

from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.research.storage import sessions
from control_plane.research.storage.group_folder import GroupFolder, find_group_folder
from tests.factories import AnalysisFactory, GrantFactory, GroupFactory, MembershipFactory, UserFactory

BUCKET = "cohort-ephys"


@dataclass
class Lab:
    """`example-lab`, its member Ada, the analysis `ephys`, and the bucket."""

    group: Group
    analysis: Analysis
    ada: User
    client: Client
    s3: Any

    @property
    def place(self) -> GroupFolder:
        """Ada's way into the bucket."""
        return find_group_folder(group_slug="example-lab", analysis_slug="ephys", user=self.ada)

    @property
    def actor(self) -> Actor:
        """Ada, on a page."""
        return Actor(self.ada.email, "web", self.ada)

    def put(self, *keys: str, body: bytes = b"trace") -> None:
        """Have the bucket hold these."""
        for key in keys:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        """What the bucket holds there."""
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def keys(self, prefix: str = "") -> list[str]:
        """What the bucket holds."""
        return [content["Key"] for content in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def make_lab(level: Grant.Level = Grant.Level.READ_WRITE) -> Lab:
    """Make it, in the database and on AWS. Needs `mock_aws`."""
    ada = UserFactory.create(email="ada@example.org")
    group = GroupFactory.create(slug="example-lab", name="Example Lab")
    analysis = AnalysisFactory.create(slug="ephys", bucket=BUCKET, name="Electrophysiology")
    GrantFactory.create(group=group, analysis=analysis, level=level)
    MembershipFactory.create(group=group, user=ada, deployed=True)
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    client = Client()
    client.force_login(ada)
    return Lab(group, analysis, ada, client, s3)


@pytest.fixture
def aws() -> Iterator[None]:
    """An AWS within this process, without the sessions of the one before."""
    with mock_aws():
        sessions._clients.clear()
        yield
        sessions._clients.clear()


@pytest.fixture
def lab(db: None, aws: None) -> Lab:
    """A lab that may read and write."""
    return make_lab()


@pytest.fixture
def stranger(lab: Lab) -> Client:
    """Somebody of another group, which does not have the analysis."""
    return _other(is_granted=False)


@pytest.fixture
def rival(lab: Lab) -> Client:
    """Somebody of another group, which has the analysis too."""
    return _other(is_granted=True)


def _other(*, is_granted: bool) -> Client:
    grace = UserFactory.create(email="grace@example.org")
    other = GroupFactory.create(slug="other-lab", name="Other Lab")
    if is_granted:
        GrantFactory.create(group=other, analysis=Analysis.objects.get(slug="ephys"))
    MembershipFactory.create(group=other, user=grace, deployed=True)
    client = Client()
    client.force_login(grace)
    return client

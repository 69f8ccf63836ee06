"""What a deployment just gave and AWS still refuses is being made ready; what AWS refuses later is refused."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, EndpointConnectionError
from django.urls import reverse
from django.utils import timezone
from moto import mock_aws
from moto.core.botocore_stubber import MockRawResponse

from control_plane.access.groups.errors import BeingMadeReady, NoCredentials
from control_plane.access.groups.models import Group
from control_plane.access.groups.services.credentials import member_credentials
from control_plane.access.keys.checking import check_group
from control_plane.accounts.models import User
from control_plane.deployments.iam_delay import SETTLES
from control_plane.deployments.models import Deployment
from control_plane.research.storage.group_folder import GroupFolder, find_group_folder
from control_plane.research.storage.sessions import Purpose, jobs_client, open_session, s3_client
from tests.actors import OPERATOR, client_of
from tests.control_plane.principals_on_aws import only_under_paths
from tests.factories import AnalysisFactory, GrantFactory, MembershipFactory

pytestmark = pytest.mark.django_db

REFUSED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized to perform: sts:AssumeRole"}}, "AssumeRole")


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def place(group: Group, ada: User) -> GroupFolder:
    analysis = AnalysisFactory.create(slug="ephys", name="Ephys", bucket="cohort-ephys", deployed=True)
    MembershipFactory.create(group=group, user=ada)
    GrantFactory.create(group=group, analysis=analysis, deployed=True)
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="cohort-ephys")
    return find_group_folder(group_slug="example-lab", analysis_slug="ephys", user=ada)


def deployed(group: Group, ago: timedelta) -> None:
    Deployment.objects.filter(stack=group.stack).update(finished_at=timezone.now() - ago)


def refuse(monkeypatch: pytest.MonkeyPatch, operation: str, *errors: Exception) -> None:
    """Have AWS answer the first calls of an operation by these errors; by a single one, all calls."""
    call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]
    left = list(errors)

    def answer(self: Any, name: str, parameters: Any) -> Any:
        if name == operation and left:
            raise left.pop() if len(errors) > 1 else left[0]
        return call(self, name, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)


def test_a_role_just_made_is_being_made_ready(group: Group, ada: User, place: GroupFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(group, timedelta())
    refuse(monkeypatch, "AssumeRole", REFUSED)
    with pytest.raises(BeingMadeReady, match="being made ready on AWS"):
        open_session(place, Purpose.BROWSE)
    with pytest.raises(BeingMadeReady):
        member_credentials(group=group, user=ada, actor=OPERATOR)


def test_a_right_that_never_comes_ends_with_a_message_of_its_own(
    group: Group, place: GroupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(group, SETTLES)
    refuse(monkeypatch, "AssumeRole", REFUSED)
    with pytest.raises(NoCredentials, match="deployed more than 60 seconds ago") as refused:
        open_session(place, Purpose.BROWSE)
    assert not isinstance(refused.value, BeingMadeReady)


def test_what_is_no_refusal_is_told_at_once(group: Group, place: GroupFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(group, timedelta())
    refuse(monkeypatch, "AssumeRole", EndpointConnectionError(endpoint_url="https://sts"))
    with pytest.raises(NoCredentials, match="AWS gave no credentials: Could not connect") as refused:
        open_session(place, Purpose.BROWSE)
    assert not isinstance(refused.value, BeingMadeReady)


def test_a_page_s_script_is_told_when_to_ask_again(
    group: Group, ada: User, place: GroupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(group, timedelta())
    address = reverse("api-1:files-session", args=("example-lab", "ephys"))
    client = client_of(ada)
    with monkeypatch.context() as patched:
        refuse(patched, "AssumeRole", REFUSED)
        answer = client.post(address, "{}", content_type="application/json")
        assert (answer.status_code, answer.json()["retry_after"], answer.headers["Retry-After"]) == (503, 2, "2")
        assert "being made ready on AWS" in answer.json()["detail"]
    given = client.post(address, "{}", content_type="application/json").json()
    # Until then S3's refusals may be late, too.
    assert given["now"] < given["settles"]
    deployed(group, SETTLES)
    assert client.post(address, "{}", content_type="application/json").json()["settles"] is None


def test_a_worker_waits_for_the_role(group: Group, place: GroupFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(group, timedelta())
    refuse(monkeypatch, "AssumeRole", REFUSED, REFUSED)
    jobs_client(group, place.analysis).list_objects_v2(Bucket="cohort-ephys")


def test_a_page_waits_where_s3_refuses_a_new_grant(
    group: Group, ada: User, place: GroupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role is there, and what it may do in the bucket is not yet: the page says so, and turns by itself."""
    refusal = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    client = s3_client(place, Purpose.BROWSE)

    def refuse(request: Any, **_: Any) -> Any:
        return AWSResponse(request.url, 403, HTTPHeaders(), MockRawResponse(refusal))

    client.meta.events.register_first("before-send.s3", refuse)
    deployed(group, timedelta())
    with pytest.raises(BeingMadeReady):
        s3_client(place, Purpose.BROWSE).list_objects_v2(Bucket="cohort-ephys", Prefix="example-lab/")
    deployed(group, SETTLES)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3_client(place, Purpose.BROWSE).list_objects_v2(Bucket="cohort-ephys", Prefix="example-lab/")


def test_a_user_whom_aws_has_not_is_no_failure_of_the_check_of_keys(
    group: Group, grace: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    MembershipFactory.create(group=group, user=grace, keys=True, deployed=True)
    only_under_paths(monkeypatch)
    assert check_group(group) == 0

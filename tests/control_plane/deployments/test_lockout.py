"""The lockout: each person's denial stands alone, what is gone is done with, and a denial counts once IAM shows it."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from django.urls import reverse
from django.utils import timezone
from moto import mock_aws

from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.services.members import remove_member
from control_plane.access.groups.services.suspension import suspend_members
from control_plane.accounts.models import User
from control_plane.deployments import iam_delay, lockout_steps
from control_plane.deployments.lockout import deny
from control_plane.deployments.lockout_steps import LockoutIncomplete
from control_plane.deployments.models import Deployment
from stacks import names
from tests.actors import OPERATOR, client_of
from tests.control_plane.principals_on_aws import denied, only_under_paths
from tests.factories import MembershipFactory, settle

pytestmark = pytest.mark.django_db

Spoil = Callable[[str, dict[str, Any]], Exception | None]


@pytest.fixture
def iam() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("iam")


@pytest.fixture
def holders(group: Group, ada: User, grace: User, iam: Any) -> tuple[str, str]:
    """Ada and Grace hold keys, as the group's stack makes them: the names of their users."""
    for person in (ada, grace):
        MembershipFactory.create(group=group, user=person, keys=True)
        iam.create_user(UserName=user_of(person), Path="/cohort/example-lab/")
        iam.create_access_key(UserName=user_of(person))
    settle(group.stack)
    iam.create_role(RoleName="cohort-example-lab", Path="/cohort/example-lab/", AssumeRolePolicyDocument="{}")
    return user_of(ada), user_of(grace)


def user_of(person: User) -> str:
    return names.user("example-lab", Membership.objects.get(user=person).username)


def carries(iam: Any, user: str) -> list[str]:
    return list(iam.list_user_policies(UserName=user)["PolicyNames"])


def spoil(monkeypatch: pytest.MonkeyPatch, with_error: Spoil) -> None:
    """Have IAM answer calls by an error, where one is given for them."""
    call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def answer(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if error := with_error(operation, parameters):
            raise error
        return call(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)


def test_each_is_shut_out_though_another_s_user_is_gone(
    group: Group, ada: User, grace: User, iam: Any, holders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    adas, graces = holders
    remove_member(group=group, user=ada, actor=OPERATOR)
    suspend_members(group=group, users=[grace], actor=OPERATOR)
    for key in iam.list_access_keys(UserName=adas)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=adas, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=adas)
    only_under_paths(monkeypatch)
    deny(group.stack.pk)
    assert carries(iam, graces) == ["suspended"]
    assert iam.list_role_policies(RoleName="cohort-example-lab")["PolicyNames"] == ["ended-sessions"]


def test_one_that_fails_is_named_and_hinders_no_other(
    group: Group, ada: User, grace: User, iam: Any, holders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    adas, graces = holders
    suspend_members(group=group, users=[ada, grace], actor=OPERATOR)
    busy = ClientError({"Error": {"Code": "ServiceFailure", "Message": "busy"}}, "PutUserPolicy")
    with monkeypatch.context() as patched:
        spoil(patched, lambda operation, said: busy if operation == "PutUserPolicy" and said["UserName"] == adas else None)
        with pytest.raises(LockoutIncomplete, match=f"1 of 3 could not be denied at once. user {adas}"):
            deny(group.stack.pk)
    assert carries(iam, graces) == ["suspended"]
    group.stack.refresh_from_db()
    assert group.stack.denied_at is None, "not everything is denied"


def test_a_missing_right_is_not_taken_for_a_user_who_is_gone(
    group: Group, ada: User, iam: Any, holders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    suspend_members(group=group, users=[ada], actor=OPERATOR)
    spoil(monkeypatch, lambda operation, said: denied(operation) if operation == "PutUserPolicy" else None)
    with pytest.raises(LockoutIncomplete, match="not authorized to perform: iam:PutUserPolicy"):
        deny(group.stack.pk)


def test_whoever_was_made_a_moment_ago_is_denied_once_iam_knows_them(
    group: Group, ada: User, iam: Any, holders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Deployment.objects.filter(stack=group.stack).update(finished_at=timezone.now())
    suspend_members(group=group, users=[ada], actor=OPERATOR)
    refusals = [denied("PutUserPolicy"), denied("PutUserPolicy")]
    spoil(monkeypatch, lambda operation, said: refusals.pop() if operation == "PutUserPolicy" and refusals else None)
    deny(group.stack.pk)
    assert carries(iam, holders[0]) == ["suspended"]


def test_a_denial_counts_once_iam_shows_it_and_the_page_says_when(
    group: Group, ada: User, iam: Any, holders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    suspend_members(group=group, users=[ada], actor=OPERATOR)
    late, asked = [denied("GetUserPolicy"), denied("GetUserPolicy")], []

    def read_late(operation: str, said: dict[str, Any]) -> Exception | None:
        if operation != "GetUserPolicy":
            return None
        asked.append(said["UserName"])
        return late.pop() if late else None

    client = client_of(ada)
    assert "AWS may take seconds" not in client.get(reverse("home")).content.decode()
    with monkeypatch.context() as patched:
        spoil(patched, read_late)
        deny(group.stack.pk)
    assert asked == [holders[0]] * 3
    group.stack.refresh_from_db()
    assert group.stack.denied_at is not None
    page = client.get(reverse("home")).content.decode()
    assert f"{timezone.localtime(group.stack.denied_at):%H:%M:%S}</time>. AWS may take seconds to apply it everywhere." in page


def test_a_denial_that_iam_never_shows_is_not_said_to_hold(
    group: Group, ada: User, iam: Any, holders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    suspend_members(group=group, users=[ada], actor=OPERATOR)
    monkeypatch.setattr(lockout_steps, "SETTLES", timedelta(seconds=0.5))
    spoil(monkeypatch, lambda operation, said: denied(operation) if operation == "GetUserPolicy" else None)
    with pytest.raises(LockoutIncomplete, match="IAM does not show it"):
        deny(group.stack.pk)
    group.stack.refresh_from_db()
    assert group.stack.denied_at is None


def test_a_user_whom_the_deployment_takes_away_meanwhile_is_not_waited_for(
    group: Group, ada: User, iam: Any, holders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Deployment.objects.filter(stack=group.stack).update(finished_at=timezone.now())
    remove_member(group=group, user=ada, actor=OPERATOR)
    monkeypatch.setattr(iam_delay, "SETTLES", timedelta(seconds=5))
    [key] = iam.list_access_keys(UserName=holders[0])["AccessKeyMetadata"]
    asked = []

    def taken_away(operation: str, said: dict[str, Any]) -> Exception | None:
        if operation == "ListAccessKeys":
            asked.append(said["UserName"])
            if len(asked) == 1:
                iam.delete_access_key(UserName=holders[0], AccessKeyId=key["AccessKeyId"])
                iam.delete_user(UserName=holders[0])
                settle(group.stack)
        return None

    spoil(monkeypatch, taken_away)
    deny(group.stack.pk)
    assert asked == [holders[0]] * 2


def overwrite(iam: Any, user: str, then: Callable[[], object]) -> Spoil:
    """Another writer puts a document of its own in the denial's place before that is read back, once; then this is done."""
    waiting, statement = [then], {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    another = {"Version": "2012-10-17", "Statement": [statement]}

    def answer(operation: str, said: dict[str, Any]) -> Exception | None:
        if operation == "GetUserPolicy" and waiting:
            done = waiting.pop()
            iam.put_user_policy(UserName=user, PolicyName="suspended", PolicyDocument=json.dumps(another))
            done()
        return None

    return answer


def test_a_deployment_that_overtakes_a_lockout_ends_its_waiting(
    group: Group, ada: User, iam: Any, holders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    suspend_members(group=group, users=[ada], actor=OPERATOR)
    monkeypatch.setattr(lockout_steps, "SETTLES", timedelta(seconds=2))
    spoil(monkeypatch, overwrite(iam, holders[0], lambda: settle(group.stack)))
    deny(group.stack.pk)


def test_a_newer_wish_that_overtakes_a_lockout_is_put_in_its_place(
    group: Group, ada: User, grace: User, iam: Any, holders: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    adas, graces = holders
    suspend_members(group=group, users=[ada], actor=OPERATOR)
    monkeypatch.setattr(lockout_steps, "SETTLES", timedelta(seconds=2))
    spoil(monkeypatch, overwrite(iam, adas, lambda: suspend_members(group=group, users=[grace], actor=OPERATOR)))
    deny(group.stack.pk)
    documents = [iam.get_user_policy(UserName=user, PolicyName="suspended")["PolicyDocument"] for user in (adas, graces)]
    assert [document["Statement"][0]["Action"] for document in documents] == ["*", "*"]
    group.stack.refresh_from_db()
    assert group.stack.denied_generation == group.stack.generation

"""When keys were last used, as IAM tells: kept for the pages, asked about daily, and those listed that nobody uses."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from moto import mock_aws

from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.services.keys import end_overlap, rotate_key
from control_plane.access.groups.services.members import remove_member
from control_plane.access.keys import checking
from control_plane.access.keys.checking import check_group
from control_plane.access.keys.listing import held_keys, key_holders, unused_keys
from control_plane.access.keys.models import KeyCheck, KeyUse
from control_plane.access.keys.schedule import CHECK_AGE, start_due_checks
from control_plane.access.keys.tasks import check_group_keys
from control_plane.accounts.models import User
from control_plane.base import aws as clients
from control_plane.base.aws import AwsFailure
from tests.actors import OPERATOR
from tests.factories import MembershipFactory, UserFactory, settle

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def holder(group: Group, ada: User) -> User:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    return ada


def iam_name(user: User) -> str:
    return f"cohort-example-lab-{Membership.objects.wanted().get(user=user).username}"


def key_on_aws(user: User) -> str:
    """A key made as CloudFormation makes it, and its identifier."""
    iam: Any = boto3.client("iam")
    name = iam_name(user)
    if name not in {item["UserName"] for item in iam.list_users()["Users"]}:
        iam.create_user(UserName=name, Path="/cohort/example-lab/")
    return str(iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"])


class Uses:
    """What IAM says of each key's last use: moto keeps no account of it."""

    def __init__(self) -> None:
        self.days_ago: dict[str, float] = {}

    def get(self, key_id: str) -> dict[str, Any]:
        if key_id not in self.days_ago:
            return {"Region": "N/A", "ServiceName": "N/A"}
        return {"LastUsedDate": ago(self.days_ago[key_id]), "Region": "us-east-1", "ServiceName": "s3"}


def ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


@pytest.fixture
def uses(monkeypatch: pytest.MonkeyPatch) -> Uses:
    told = Uses()
    make = clients.client

    def client(*arguments: Any, **named: Any) -> Any:
        made = make(*arguments, **named)
        monkeypatch.setattr(
            made, "get_access_key_last_used", lambda **asked: {"AccessKeyLastUsed": told.get(asked["AccessKeyId"])}, raising=False
        )
        return made

    monkeypatch.setattr(clients, "client", client)
    return told


def test_a_key_is_found_with_its_age_and_last_use(group: Group, holder: User, uses: Uses) -> None:
    key_id = key_on_aws(holder)
    assert check_group(group) == 1
    use = KeyUse.objects.get()
    assert (use.access_key_id, use.serial, use.is_active, use.last_used_at, use.last_service) == (key_id, 1, True, None, "")
    uses.days_ago[key_id] = 3
    check_group(group)
    use = KeyUse.objects.get()
    assert use.last_service == "s3"
    assert use.last_used_at is not None
    assert abs(use.last_used_at - ago(3)) < timedelta(minutes=1)


def test_of_two_keys_the_newer_is_the_present_one(group: Group, holder: User, uses: Uses, monkeypatch: pytest.MonkeyPatch) -> None:
    iam_name(holder)
    old = key_on_aws(holder)
    rotate_key(group=group, user=holder, actor=OPERATOR)
    check_group(group)
    # The new one is not there yet.
    assert KeyUse.objects.get(access_key_id=old).serial == 1
    settle(group.stack)
    monkeypatch.setattr(checking, "_keys_of", _aged(checking._keys_of, old))
    new = key_on_aws(holder)
    check_group(group)
    assert set(KeyUse.objects.values_list("access_key_id", "serial")) == {(old, 1), (new, 2)}
    (held,) = held_keys(group, list(key_holders(group)))
    assert held.present is not None
    assert held.previous is not None
    assert (held.present.access_key_id, held.previous.access_key_id, held.old_key) == (new, old, "still works")
    end_overlap(group=group, user=holder, actor=OPERATOR)
    settle(group.stack)
    boto3.client("iam").delete_access_key(UserName=iam_name(holder), AccessKeyId=old)
    check_group(group)
    assert KeyUse.objects.get().access_key_id == new


def _aged(keys_of: Any, old: str) -> Any:
    """Moto's keys of one second have the same age; on AWS a rotation takes longer."""

    def aged(*asked: Any) -> Any:
        return sorted(keys_of(*asked), key=lambda key: key["AccessKeyId"] == old)

    return aged


def test_keys_that_nobody_uses_are_listed_never_used_ones_first(group: Group, ada: User, grace: User, uses: Uses) -> None:
    hedy, mary = (UserFactory.create(email=f"{name}@example.org") for name in ("hedy", "mary"))
    for user, days in ((ada, 100), (grace, 2), (hedy, None), (mary, None)):
        MembershipFactory.create(group=group, user=user, keys=True)
        key = key_on_aws(user)
        if days is not None:
            uses.days_ago[key] = days
    settle(group.stack)
    check_group(group)
    KeyUse.objects.filter(membership__user=hedy).update(made_at=ago(400))
    assert [use.membership.user for use in unused_keys()] == [hedy, ada]
    assert [use.membership.user for use in unused_keys(days=1)] == [hedy, ada, grace]
    assert {item.membership.user: item.is_unused for item in held_keys(group, list(key_holders(group)))} == {
        ada: True,
        grace: False,
        hedy: True,
        mary: False,
    }
    KeyUse.objects.filter(membership__user=hedy).update(is_active=False)
    remove_member(group=group, user=ada, actor=OPERATOR)
    assert list(unused_keys()) == []


def test_a_key_that_was_replaced_is_not_listed_any_more(group: Group, holder: User, uses: Uses) -> None:
    uses.days_ago[key_on_aws(holder)] = 100
    check_group(group)
    assert unused_keys().count() == 1
    rotate_key(group=group, user=holder, actor=OPERATOR)
    assert unused_keys().count() == 1
    end_overlap(group=group, user=holder, actor=OPERATOR)
    assert unused_keys().count() == 0


@pytest.mark.usefixtures("at_once")
def test_the_sweep_has_each_group_asked_about_once_a_day(group: Group, holder: User, uses: Uses) -> None:
    assert (start_due_checks(), start_due_checks()) == (1, 0)
    KeyCheck.objects.update(asked_at=timezone.now() - CHECK_AGE)
    assert (start_due_checks(), start_due_checks()) == (1, 0)
    # One that failed is asked about again sooner.
    KeyCheck.objects.update(asked_at=timezone.now() - timedelta(hours=2))
    assert start_due_checks() == 0
    KeyCheck.objects.update(error="AWS does not answer")
    assert (start_due_checks(), start_due_checks()) == (1, 0)


def test_the_worker_s_task_asks(group: Group, holder: User, uses: Uses) -> None:
    key_on_aws(holder)
    check_group_keys.func(group.pk)
    assert KeyUse.objects.count() == 1
    assert KeyCheck.objects.get().finished_at is not None


def test_a_user_that_aws_has_not_made_yet_is_no_failure(group: Group, holder: User, uses: Uses) -> None:
    assert check_group(group) == 0


def test_what_aws_refuses_is_kept_and_the_rows_stay(
    group: Group, holder: User, uses: Uses, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key_on_aws(holder)
    check_group(group)

    def refuse(*_: Any) -> Any:
        raise AwsFailure("AWS does not allow it: no.")

    monkeypatch.setattr(checking, "_keys_of", refuse)
    with pytest.raises(AwsFailure):
        check_group(group)
    assert KeyCheck.objects.get().error == "AWS does not allow it: no."
    assert KeyUse.objects.count() == 1
    with pytest.raises(SystemExit):
        call_command("keys", "check", "--json")
    assert json.loads(capsys.readouterr().out)["failed"] == {"example-lab": "AWS does not allow it: no."}


def test_what_is_known_goes_when_the_membership_has_ended(group: Group, holder: User, uses: Uses) -> None:
    key_on_aws(holder)
    check_group(group)
    remove_member(group=group, user=holder, actor=OPERATOR)
    start_due_checks()
    assert KeyUse.objects.count() == 1
    settle(group.stack)
    start_due_checks()
    assert KeyUse.objects.count() == 0


def test_the_terminal_checks_and_lists(group: Group, holder: User, uses: Uses, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> Any:
        call_command("keys", *words, "--json")
        return json.loads(capsys.readouterr().out)

    key_id = key_on_aws(holder)
    uses.days_ago[key_id] = 40
    assert run("check") == {"keys": {"example-lab": 1}, "failed": {}}
    assert [row["access_key_id"] for row in run("list")] == [key_id]
    assert run("list", "--unused-days", "41") == []
    (found,) = run("list", "--group", "example-lab", "--unused-days", "30")
    assert (found["email"], found["state"], found["last_service"], found["is_present"]) == (holder.email, "active", "s3", True)
    call_command("keys", "list")
    assert key_id in capsys.readouterr().out
    for words in (("--unused-days=-1",), ("--group", "nowhere")):
        with pytest.raises(CommandError):
            call_command("keys", "list", *words)

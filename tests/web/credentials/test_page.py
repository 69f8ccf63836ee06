"""“Use from your own computer”: what members see, and what nobody else does."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from allauth.idp.oidc.models import Token
from django.test import Client
from django.utils import timezone
from moto import mock_aws

from control_plane.access.computers.models import KeyReveal
from control_plane.access.groups.models import Analysis, Grant, Group, Membership
from control_plane.access.groups.services.members import remove_member
from control_plane.access.groups.services.platform_stack import platform_stack
from control_plane.accounts.models import User
from control_plane.accounts.services.computers import ensure_client
from control_plane.base.audit.models import AuditEvent
from tests.actors import OPERATOR
from tests.factories import GroupFactory, MembershipFactory, UserFactory, settle

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"
PAGE = "/groups/example-lab/credentials/"
SECRET = "the-secret-of-the-key-itself"


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def group(db: None) -> Group:
    return GroupFactory.create(slug="example-lab", name="Example Lab")


def person(email: str) -> User:
    return UserFactory.create(email=email, password=PASSWORD)


def signed_in(user: User, **settings: Any) -> Client:
    client = Client(**settings)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def ada(group: Group) -> User:
    """A federated member."""
    user = person("ada@example.org")
    MembershipFactory.create(group=group, user=user, deployed=True)
    return user


@pytest.fixture
def holder(group: Group) -> User:
    """A member with a key, which AWS holds."""
    user = person("grace@example.org")
    MembershipFactory.create(group=group, user=user, keys=True, deployed=True)
    username = Membership.objects.get(user=user).username
    text = json.dumps({"AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": SECRET})
    boto3.client("secretsmanager", region_name="us-east-1").create_secret(Name=f"cohort/example-lab/{username}", SecretString=text)
    return user


def grant(group: Group, number: int, level: str = Grant.Level.READ_WRITE) -> None:
    platform = platform_stack()
    for index in range(Analysis.objects.count(), number):
        analysis = Analysis.objects.create(
            slug=f"a{index}", name=f"Analysis {index}", bucket=f"cohort-a{index}", stack=platform, added_generation=0
        )
        Grant.objects.create(group=group, analysis=analysis, level=level, added_generation=0)


def computer(user: User, name: str = "workbench (Linux)") -> Any:
    ends = timezone.now() + timedelta(days=30)
    return Token.objects.create(
        type=Token.Type.REFRESH_TOKEN,
        hash=name + user.email,
        client=ensure_client(),
        user=user,
        data={"name": name},
        expires_at=ends,
    )


def with_password(client: Client, answer: Any) -> Any:
    """Enter the password on the page that was led to."""
    assert answer.status_code == 302
    assert "reauthenticate" in answer.url
    return client.post(answer.url, {"password": PASSWORD})


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def test_a_member_finds_commands_with_the_groups_own_names(group: Group, ada: User) -> None:
    grant(group, 1)
    shown = text_of(signed_in(ada).get(PAGE))
    assert "aws s3 cp my-file.csv s3://cohort-a0/example-lab/inputs/ --profile cohort-example-lab" in shown
    assert "cohort-example-lab:cohort-a0/example-lab/results/" in shown
    assert "[profile cohort-example-lab]" in shown
    assert "region = us-east-1" in shown
    assert "get --site http://localhost:8000 --group example-lab" in shown
    assert "Your access key" not in shown


def test_another_analysis_is_chosen_by_its_address(group: Group, ada: User) -> None:
    grant(group, 2)
    assert "s3://cohort-a1/example-lab/inputs/" in text_of(signed_in(ada).get(f"{PAGE}?analysis=a1"))
    assert "s3://cohort-a0/example-lab/inputs/" in text_of(signed_in(ada).get(f"{PAGE}?analysis=nonsense"))


def test_a_group_that_only_reads_is_shown_no_command_that_writes(group: Group, ada: User) -> None:
    grant(group, 1, Grant.Level.READ_ONLY)
    shown = text_of(signed_in(ada).get(PAGE))
    assert "aws s3 cp" not in shown
    assert "s3://cohort-a0/example-lab/results/" in shown


def test_a_group_without_an_analysis_is_told_what_to_do(ada: User) -> None:
    assert "Ask an administrator" in text_of(signed_in(ada).get(PAGE))


def test_the_number_of_queries_does_not_grow(group: Group, ada: User, django_assert_max_num_queries: Callable[[int], Any]) -> None:
    grant(group, 30)
    for index in range(20):
        computer(ada, f"computer {index}")
    client = signed_in(ada)
    with django_assert_max_num_queries(12):
        client.get(PAGE)


@pytest.mark.parametrize("path", [PAGE, "/groups/no-such-lab/credentials/"])
@pytest.mark.parametrize("administers", [False, True])
def test_who_is_not_a_member_gets_nothing_and_it_is_on_record(group: Group, path: str, administers: bool) -> None:
    user = person("mallory@example.org")
    User.objects.filter(pk=user.pk).update(is_staff=administers, is_superuser=administers)
    client = signed_in(user)
    tries = (("get", ""), ("post", "session/"), ("post", "key/"), ("post", "key/rotate/"))
    for method, part in tries:
        answer = getattr(client, method)(path + part)
        assert answer.status_code == 404, part
        assert "Example Lab" not in text_of(answer)
    assert AuditEvent.objects.filter(action="access.refused", actor=user.email).count() == len(tries)


def test_who_is_not_signed_in_is_asked_to(group: Group) -> None:
    for answer in (Client().get(PAGE), Client().post(f"{PAGE}session/"), Client().post(f"{PAGE}key/")):
        assert answer.status_code == 302
        assert "/accounts/login/" in answer.headers["Location"]


def test_a_forged_request_is_refused(ada: User) -> None:
    client = signed_in(ada, enforce_csrf_checks=True)
    for part in ("session/", "key/", "key/rotate/", "computers/1/sign-out/"):
        assert client.post(PAGE + part).status_code == 403
    assert not AuditEvent.objects.filter(action="member.credentials").exists()


def test_short_lived_credentials_are_shown_once_and_kept_nowhere(group: Group, ada: User) -> None:
    client = signed_in(ada)
    answer = client.post(f"{PAGE}session/")
    shown = text_of(answer)
    assert "no-store" in answer.headers["Cache-Control"]
    secret = re.search(r"AWS_SECRET_ACCESS_KEY=&#x27;([^&]+)&#x27;", shown)
    assert secret is not None
    assert "[cohort-example-lab-now]" in shown
    assert "aws_session_token = " in shown
    event = AuditEvent.objects.get(action="member.credentials")
    assert event.actor == ada.email
    assert secret[1] not in json.dumps(list(AuditEvent.objects.values()), default=str)
    assert secret[1] not in text_of(client.get(PAGE))


def test_credentials_wait_until_aws_holds_the_membership(group: Group) -> None:
    user = person("emmy@example.org")
    MembershipFactory.create(group=group, user=user)
    client = signed_in(user)
    assert "still being made on AWS" in text_of(client.get(PAGE))
    answer = client.post(f"{PAGE}session/", follow=True)
    assert "not active yet" in text_of(answer)


def test_a_key_is_shown_after_the_password_once_and_never_again(holder: User) -> None:
    client = signed_in(holder)
    assert SECRET not in text_of(client.get(PAGE))
    answer = with_password(client, client.post(f"{PAGE}key/"))
    assert f"aws_secret_access_key = {SECRET}" in text_of(answer)
    assert "no-store" in answer.headers["Cache-Control"]
    event = AuditEvent.objects.get(action="member.reveal_key")
    assert event.details == {"key_serial": 1, "access_key_id": "AKIAEXAMPLE"}
    again = client.post(f"{PAGE}key/", follow=True)
    assert "shown only once" in text_of(again)
    assert SECRET not in text_of(again)
    assert "Shown to you" in text_of(client.get(PAGE))
    assert SECRET not in json.dumps([list(AuditEvent.objects.values()), list(KeyReveal.objects.values())], default=str)


def test_a_wrong_password_shows_nothing(holder: User) -> None:
    client = signed_in(holder)
    answer = client.post(f"{PAGE}key/")
    assert SECRET not in text_of(client.post(answer.headers["Location"], {"password": "guessed"}))
    assert not KeyReveal.objects.exists()


def test_a_rotated_key_is_shown_when_aws_holds_it(group: Group, holder: User) -> None:
    client = signed_in(holder)
    with_password(client, client.post(f"{PAGE}key/"))
    client.post(f"{PAGE}key/rotate/")
    assert "being made" in text_of(client.get(PAGE, headers={"HX-Request": "true"}))
    assert "It was not shown" in text_of(client.post(f"{PAGE}key/", follow=True))
    settle(group.stack)
    assert SECRET in text_of(client.post(f"{PAGE}key/"))
    assert set(KeyReveal.objects.values_list("key_serial", flat=True)) == {1, 2}


def test_a_manager_rotates_a_members_key_and_nobody_elses(group: Group, holder: User, ada: User) -> None:
    username = Membership.objects.get(user=holder).username
    path = f"{PAGE}key/rotate/{username}/"
    assert signed_in(ada).post(path).status_code == 404
    Membership.objects.filter(user=ada).update(is_manager=True)
    assert signed_in(ada).post(path).status_code == 302
    assert Membership.objects.get(user=holder).key_serial == 2
    other = path.replace("example-lab", "other-lab")
    assert signed_in(ada).post(other).status_code == 404


def test_computers_are_listed_and_signed_out_by_their_owner_alone(ada: User, holder: User) -> None:
    mine = computer(ada)
    assert "workbench (Linux)" in text_of(signed_in(ada).get(PAGE))
    assert "workbench" not in text_of(signed_in(holder).get(PAGE))
    path = f"{PAGE}computers/{mine.pk}/sign-out/"
    assert signed_in(holder).post(path).status_code == 404
    assert "is signed out" in text_of(signed_in(ada).post(path, follow=True))
    assert "workbench (Linux)" not in text_of(signed_in(ada).get(PAGE))
    assert AuditEvent.objects.get(action="computer.sign_out").details["computer"] == "workbench (Linux)"


def test_who_was_removed_gets_none_at_once(group: Group, ada: User) -> None:
    remove_member(group=group, user=ada, actor=OPERATOR)
    assert signed_in(ada).post(f"{PAGE}session/").status_code == 404


def test_the_helper_can_be_fetched_before_anything_is_signed_in() -> None:
    answer = Client().get("/credentials/cohort_credentials.py")
    assert b"".join(answer.streaming_content).startswith(b"#!/usr/bin/env python3")  # type: ignore[attr-defined]
    assert "attachment" in answer.headers["Content-Disposition"]

"""A new password, and signing out everywhere, end all that was opened before: browsers, computers and sessions of AWS."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from allauth.idp.oidc.models import Token
from django.test import Client
from django.utils import timezone
from moto import mock_aws

from control_plane.access.groups.errors import BeingMadeReady
from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services import manifests
from control_plane.access.groups.services.credentials import member_credentials
from control_plane.access.groups.services.session_revocation import drop_past_cut_offs
from control_plane.access.people.sign_outs import MAX_SIGN_OUTS_PER_HOUR
from control_plane.accounts.models import User
from control_plane.accounts.services import computers
from control_plane.base.audit.models import AuditEvent
from control_plane.base.config import config
from control_plane.base.errors import LimitReached
from control_plane.deployments.lockout import deny
from control_plane.deployments.models import Stack, StoredManifest
from stacks.manifest import GroupManifest, parse
from tests.actors import actor_of
from tests.control_plane.account_pages import NEW_PASSWORD, delivered, is_signed_in, link_in_mail, sign_in, signed_in, text_of
from tests.factories import PASSWORD, GroupFactory, MembershipFactory, UserFactory, settle

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]

Act = Callable[..., Any]


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def ada(group: Group) -> User:
    """A member of two groups, of one with a key, with a computer that is signed in."""
    user = UserFactory.create(email="ada@example.org", password=PASSWORD)
    other = GroupFactory.create(slug="other-lab", name="Other Lab")
    for one, access in ((group, Access.FEDERATED), (other, Access.KEYS)):
        MembershipFactory.create(group=one, user=user, access=access, deployed=True)
    computers.sign_in(user, name="workbench (Linux)", address="203.0.113.9")
    return user


def change_password(client: Client, **more: str) -> None:
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert client.post("/accounts/password/change/", form | more).status_code == 302


def reset_password(client: Client, **more: str) -> None:
    client.post("/accounts/password/reset/", {"email": "ada@example.org"})
    form = Client().get(link_in_mail("ada@example.org"), follow=True)
    path = form.redirect_chain[-1][0]
    browser = Client()
    browser.cookies = form.client.cookies
    assert browser.post(path, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD} | more).status_code == 302


def sign_out_everywhere(client: Client, **more: str) -> None:
    assert client.post("/accounts/sessions/", more).status_code == 302


ALL = pytest.mark.parametrize("act", [change_password, reset_password, sign_out_everywhere])


def manifest_of(group: Group) -> GroupManifest:
    stack = Stack.objects.get(pk=group.stack_id)
    found = parse(StoredManifest.objects.get(stack=stack, generation=stack.generation).text)
    assert isinstance(found, GroupManifest)
    return found


def later(monkeypatch: pytest.MonkeyPatch, **delta: float) -> None:
    now = timezone.now() + timedelta(**delta)
    for module in ("session_revocation", "manifests", "credentials"):
        monkeypatch.setattr(f"control_plane.access.groups.services.{module}.timezone.now", lambda: now)


@ALL
def test_computers_and_other_browsers_are_signed_out(act: Act, ada: User) -> None:
    elsewhere, here = signed_in(), signed_in()
    act(here)
    assert not Token.objects.exists()
    assert not is_signed_in(elsewhere)
    assert AuditEvent.objects.filter(action="computer.sign_out", details__computer="workbench (Linux)").exists()


@ALL
def test_sessions_of_aws_are_cut_off_in_every_group_and_for_nobody_else(act: Act, ada: User, grace: User, group: Group) -> None:
    MembershipFactory.create(group=group, user=grace, deployed=True)
    before = timezone.now().timestamp()
    act(signed_in())
    for item in Group.objects.all():
        cut = {member.username: member.sessions_not_before for member in manifest_of(item).members}
        mine = cut.pop(Membership.objects.get(group=item, user=ada).username)
        assert mine is not None
        assert before <= mine <= timezone.now().timestamp() + 6
        assert set(cut.values()) <= {None}
        assert AuditEvent.objects.filter(action="member.end_sessions", target=f"ada@example.org in {item.slug}").exists()


@ALL
def test_the_mail_names_what_was_ended(act: Act, ada: User) -> None:
    act(signed_in())
    [body] = [str(message.body) for message in delivered() if "Computers that were signed out" in str(message.body)]
    assert "Computers that were signed out: workbench (Linux)." in body
    assert "Open AWS sessions are denied from now on: Example Lab, Other Lab." in body
    assert "Access keys that still work: Other Lab." in body


@ALL
def test_access_keys_are_replaced_in_the_same_step_where_that_is_ticked(act: Act, ada: User) -> None:
    act(signed_in(), replace_keys="on")
    keys = Membership.objects.get(group__slug="other-lab")
    assert (keys.key_serial, keys.previous_key) == (2, ""), "the old key ends as the new one is there"
    assert any("New access keys are being made: Other Lab." in str(message.body) for message in delivered())


@ALL
def test_access_keys_stay_where_that_is_not_ticked(act: Act, ada: User) -> None:
    act(signed_in())
    assert Membership.objects.get(group__slug="other-lab").key_serial == 1


def test_only_who_holds_a_key_is_offered_to_replace_it(ada: User) -> None:
    page = text_of(signed_in().get("/accounts/password/change/"))
    assert "Replace my access key too (Other Lab)" in page
    UserFactory.create(email="grace@example.org", password=PASSWORD)
    assert "Replace my access key" not in text_of(signed_in("grace@example.org").get("/accounts/sessions/"))


def test_the_denial_is_on_aws_at_once_and_before_the_deployment(ada: User, group: Group) -> None:
    iam = boto3.client("iam")
    iam.create_role(RoleName="cohort-example-lab", Path="/cohort/example-lab/", AssumeRolePolicyDocument="{}")
    sign_out_everywhere(signed_in())
    deny(group.stack_id)
    document: Any = iam.get_role_policy(RoleName="cohort-example-lab", PolicyName="ended-sessions")["PolicyDocument"]
    username = Membership.objects.get(group=group).username
    (statement,) = document["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"]["StringLike"] == {"aws:userid": [f"*:{username}"]}
    assert list(statement["Condition"]["DateLessThan"]) == ["aws:TokenIssueTime"]


def test_no_session_is_opened_before_the_cutoff_has_passed(ada: User, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("iam").create_role(RoleName="cohort-example-lab", Path="/cohort/example-lab/", AssumeRolePolicyDocument="{}")
    sign_out_everywhere(signed_in())
    settle(Stack.objects.get(pk=group.stack_id))
    group = Group.objects.get(pk=group.pk)
    with pytest.raises(BeingMadeReady):
        member_credentials(group=group, user=ada, actor=actor_of(ada))
    later(monkeypatch, seconds=6)
    assert member_credentials(group=group, user=ada, actor=actor_of(ada)).session_token


def test_a_cutoff_is_dropped_when_the_longest_session_is_over(ada: User, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_out_everywhere(signed_in())
    later(monkeypatch, minutes=59)
    assert drop_past_cut_offs() == 0
    later(monkeypatch, minutes=61)
    assert drop_past_cut_offs() == 2
    assert manifest_of(group).cut_offs == []
    generation = Stack.objects.get(pk=group.stack_id).generation
    assert drop_past_cut_offs() == 0
    assert Stack.objects.get(pk=group.stack_id).generation == generation


def test_nobody_has_to_approve_that_a_past_cutoff_is_dropped(ada: User, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_out_everywhere(signed_in())
    generation = Stack.objects.get(pk=group.stack_id).generation
    changed = config().model_copy(update={"require_approval": "broadening"})
    monkeypatch.setattr("control_plane.access.groups.services.session_revocation.config", lambda: changed)
    later(monkeypatch, minutes=61)
    assert drop_past_cut_offs() == 2
    assert Stack.objects.get(pk=group.stack_id).generation == generation
    assert manifests.group_manifest(Group.objects.get(pk=group.pk), generation + 1).cut_offs == []


def test_too_many_cutoffs_to_name_end_every_session(ada: User, grace: User, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    MembershipFactory.create(group=group, user=grace)
    monkeypatch.setattr(manifests, "MAX_REVOKED", 1)
    moment = timezone.now().replace(microsecond=0)
    Membership.objects.filter(group=group).update(sessions_not_before=moment)
    manifest = manifests.group_manifest(Group.objects.get(pk=group.pk), 99)
    assert (manifest.cut_offs, manifest.sessions_not_before) == ([], int(moment.timestamp()))


def test_a_group_that_cannot_be_changed_now_hinders_no_other(ada: User, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    made = manifests.group_manifest

    def refuse(one: Group, generation: int) -> GroupManifest:
        if one.slug == "example-lab":
            raise LimitReached("No room. Nothing was changed.")
        return made(one, generation)

    monkeypatch.setattr("control_plane.access.groups.services.groups.group_manifest", refuse)
    change_password(signed_in())
    assert manifest_of(Group.objects.get(slug="other-lab")).cut_offs
    assert sign_in(Client(), password=NEW_PASSWORD).status_code == 302
    assert any(
        "could not be ended at once (they end by themselves within an hour): Example Lab" in str(message.body)
        for message in delivered()
    )


def test_signing_out_everywhere_is_limited(ada: User) -> None:
    client = signed_in()
    for _ in range(MAX_SIGN_OUTS_PER_HOUR):
        sign_out_everywhere(client)
    assert "10 times within an hour" in text_of(client.post("/accounts/sessions/", follow=True))


def test_a_token_that_was_being_given_out_at_that_moment_opens_nothing(ada: User) -> None:
    given = computers.sign_in(ada, name="slow", address=None)
    assert computers.token_for(given["access_token"]) is not None
    User.objects.filter(pk=ada.pk).update(signed_out_at=timezone.now())
    assert computers.token_for(given["access_token"]) is None


def test_computers_are_listed_beside_the_browsers_and_one_is_signed_out_there(ada: User) -> None:
    client = signed_in()
    assert "workbench (Linux)" in text_of(client.get("/accounts/sessions/"))
    [computer] = computers.computers(ada)
    assert "workbench (Linux) is signed out" in text_of(client.post(f"/accounts/computers/{computer.id}/end/", follow=True))
    assert not Token.objects.exists()


def test_somebody_elses_computer_is_not_signed_out(ada: User) -> None:
    [computer] = computers.computers(ada)
    UserFactory.create(email="grace@example.org", password=PASSWORD)
    assert signed_in("grace@example.org").post(f"/accounts/computers/{computer.id}/end/").status_code == 404
    assert computers.computers(ada) == [computer]


def test_manifests_stay_as_they_were_for_who_never_signed_out_everywhere(ada: User, group: Group) -> None:
    text = StoredManifest.objects.filter(stack=group.stack).latest("generation").text
    assert all("sessions_not_before" not in member for member in json.loads(text)["members"])

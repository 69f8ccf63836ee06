"""A computer signs in by the device flow, gets credentials with what it was given, and loses that in every way it should."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from allauth.idp.oidc.models import Client as OAuthClient
from allauth.idp.oidc.models import Token
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from moto import mock_aws

from control_plane.access.computers import device
from control_plane.access.groups.models import Group
from control_plane.access.groups.services.members import remove_member
from control_plane.accounts.models import User
from control_plane.accounts.services.computers import CLIENT_ID, computers, note_refresh
from control_plane.base.audit.models import AuditEvent
from tests.actors import OPERATOR
from tests.factories import GroupFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
PAGE = "/identity/o/device"


@pytest.fixture(autouse=True)
def aws(settings: Any) -> Iterator[None]:
    settings.IDP_OIDC_DEVICE_CODE_INTERVAL = 0
    cache.clear()
    with mock_aws():
        yield


@pytest.fixture
def group(db: None) -> Group:
    return GroupFactory.create(slug="example-lab", name="Example Lab")


@pytest.fixture
def ada(group: Group) -> User:
    user = UserFactory.create(email="ada@example.org", password="correct horse battery staple")
    MembershipFactory.create(group=group, user=user, deployed=True)
    return user


def browser(user: User, **settings: Any) -> Client:
    client = Client(**settings)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def post_form(path: str, form: dict[str, str]) -> Any:
    """As a program that is no browser does."""
    return Client(enforce_csrf_checks=True).post(path, urlencode(form), content_type="application/x-www-form-urlencoded")


def start(**form: str) -> Any:
    wanted = {"client_id": CLIENT_ID, "scope": "credentials", "device_name": "workbench (Linux)", **form}
    return post_form("/identity/o/api/device/code", wanted)


def poll(device_code: str, **form: str) -> Any:
    wanted = {"grant_type": DEVICE, "device_code": device_code, "client_id": CLIENT_ID, "device_name": "workbench (Linux)", **form}
    return post_form("/identity/o/api/token", wanted)


def refresh(value: str) -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": value, "client_id": CLIENT_ID}
    return post_form("/identity/o/api/token", form)


def sign_in(user: User) -> dict[str, Any]:
    """The whole flow; returns the tokens."""
    code = start().json()
    browser(user).post(f"{PAGE}?code={code['user_code']}", {"action": "confirm"})
    answer = poll(code["device_code"])
    assert answer.status_code == 200, answer.content
    tokens: dict[str, Any] = answer.json()
    return tokens


def ask(token: str, slug: str = "example-lab") -> Any:
    return Client(enforce_csrf_checks=True).post(f"/api/credentials/{slug}", headers={"Authorization": f"Bearer {token}"})


def refusals(user: User) -> int:
    return AuditEvent.objects.filter(action="access.refused", actor_user=user).count()


def test_a_computer_signs_in_and_gets_credentials_for_the_group(ada: User) -> None:
    code = start().json()
    assert code["verification_uri"] == "http://testserver/identity/o/device"
    assert poll(code["device_code"]).json()["error"] == "authorization_pending"
    window = browser(ada)
    asked = window.get(f"{PAGE}?code={code['user_code']}").content.decode()
    assert code["user_code"] in asked
    assert "workbench (Linux)" in asked
    assert "127.0.0.1" in asked
    assert "signed in" in window.post(f"{PAGE}?code={code['user_code']}", {"action": "confirm"}).content.decode()
    tokens = poll(code["device_code"]).json()
    assert tokens["expires_in"] == 24 * 3600
    answer = ask(tokens["access_token"])
    assert set(answer.json()) == {"Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
    assert answer.json()["Version"] == 1
    assert answer.json()["Expiration"].endswith("Z")
    assert "no-store" in answer.headers["Cache-Control"]
    actions = list(AuditEvent.objects.filter(actor=ada.email).order_by("pk").values_list("action", flat=True))
    assert actions == ["computer.allow", "computer.sign_in", "member.credentials"]
    (computer,) = computers(ada)
    assert computer.name == "workbench (Linux)"
    assert computer.used_at is not None
    kept = json.dumps([list(AuditEvent.objects.values()), list(Token.objects.values())], default=str)
    assert tokens["access_token"] not in kept
    assert tokens["refresh_token"] not in kept


def test_a_code_that_was_allowed_before_its_owner_signed_out_everywhere_gets_nothing(ada: User) -> None:
    code = start().json()
    browser(ada).post(f"{PAGE}?code={code['user_code']}", {"action": "confirm"})
    browser(ada).post("/accounts/sessions/")
    answer = poll(code["device_code"])
    assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")
    assert not Token.objects.exists()


def test_a_refresh_that_a_sign_out_overtakes_gives_nothing(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = sign_in(ada)

    def overtaken(access_value: str, refresh_value: str) -> None:
        Token.objects.filter(user=ada).delete()
        note_refresh(access_value, refresh_value)

    monkeypatch.setattr(device, "note_refresh", overtaken)
    answer = refresh(tokens["refresh_token"])
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})


def test_a_computer_to_which_no_is_said_gets_nothing(ada: User) -> None:
    code = start().json()
    assert "not signed in" in browser(ada).post(f"{PAGE}?code={code['user_code']}", {"action": "deny"}).content.decode()
    assert poll(code["device_code"]).json()["error"] == "access_denied"
    assert AuditEvent.objects.filter(action="computer.deny").count() == 1
    assert computers(ada) == []


def test_another_site_cannot_say_yes_in_a_persons_name(ada: User) -> None:
    code = start().json()
    window = browser(ada, enforce_csrf_checks=True)
    assert window.post(f"{PAGE}?code={code['user_code']}", {"action": "confirm"}).status_code == 403
    assert poll(code["device_code"]).json()["error"] == "authorization_pending"


def test_who_is_not_signed_in_is_asked_to_before_a_code_counts() -> None:
    code = start().json()
    answer = Client().post(f"{PAGE}?code={code['user_code']}", {"action": "confirm"})
    assert answer.status_code == 302
    assert poll(code["device_code"]).json()["error"] == "authorization_pending"


@pytest.mark.parametrize("code", ["WRONG-CODE", "", "x" * 3000])
def test_a_wrong_code_is_said_to_be_wrong(ada: User, code: str) -> None:
    answer = browser(ada).get(f"{PAGE}?code={code}")
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()


def test_a_computers_name_is_shown_as_text(ada: User) -> None:
    code = start(device_name="<b>x</b>\x1b[2J" + "y" * 500).json()
    asked = browser(ada).get(f"{PAGE}?code={code['user_code']}").content.decode()
    assert "&lt;b&gt;x&lt;/b&gt;[2Jyyy" in asked
    assert "y" * 81 not in asked


@pytest.mark.parametrize(
    "form", [{"client_id": "somebody-else"}, {"scope": "credentials openid"}, {"client_id": ""}, {"resource": "nonsense"}]
)
def test_only_the_helper_may_start_and_for_credentials_alone(form: dict[str, str]) -> None:
    assert start(**form).status_code in (400, 401)


def test_codes_are_not_given_out_without_end() -> None:
    answers = [start().status_code for _ in range(11)]
    assert answers == [200] * 10 + [429]


def test_a_refresh_gives_a_new_access_token_for_the_same_computer(ada: User) -> None:
    tokens = sign_in(ada)
    (before,) = computers(ada)
    fresh = refresh(tokens["refresh_token"]).json()
    assert fresh["access_token"] != tokens["access_token"]
    assert fresh["refresh_token"] == tokens["refresh_token"]
    assert ask(fresh["access_token"]).status_code == 200
    (after,) = computers(ada)
    assert (after.id, after.ends_at) == (before.id, before.ends_at)


def test_a_sign_in_ends_after_its_days_however_often_it_is_used(ada: User) -> None:
    tokens = sign_in(ada)
    (computer,) = computers(ada)
    assert computer.ends_at is not None
    assert timedelta(days=29) < computer.ends_at - timezone.now() <= timedelta(days=30)
    Token.objects.filter(pk=computer.id).update(expires_at=timezone.now())
    assert refresh(tokens["refresh_token"]).status_code == 400
    assert computers(ada) == []


def test_one_computer_is_signed_out_and_the_other_goes_on(ada: User) -> None:
    first, second = sign_in(ada), sign_in(ada)
    fresh = refresh(first["refresh_token"]).json()
    oldest = computers(ada)[-1]
    browser(ada).post(f"/groups/example-lab/credentials/computers/{oldest.id}/sign-out/")
    for token in (first["access_token"], fresh["access_token"]):
        assert ask(token).status_code == 401
    assert refresh(first["refresh_token"]).status_code == 400
    assert ask(second["access_token"]).status_code == 200


def test_a_computer_signs_itself_out(ada: User) -> None:
    tokens = sign_in(ada)
    answer = Client().delete("/api/credentials/", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert answer.status_code == 204
    assert ask(tokens["access_token"]).status_code == 401
    assert AuditEvent.objects.filter(action="computer.sign_out", actor=ada.email).count() == 1


def test_who_is_removed_from_the_group_is_refused_at_once(group: Group, ada: User) -> None:
    tokens = sign_in(ada)
    remove_member(group=group, user=ada, actor=OPERATOR)
    answer = ask(tokens["access_token"])
    assert answer.status_code == 404
    assert "ask its manager" in answer.json()["detail"]
    assert refusals(ada) == 1


def test_a_group_of_others_is_refused_as_one_that_does_not_exist(ada: User) -> None:
    GroupFactory.create(slug="other-lab", name="Other Lab")
    tokens = sign_in(ada)
    others, nobodys = ask(tokens["access_token"], "other-lab"), ask(tokens["access_token"], "no-such-lab")
    assert others.status_code == nobodys.status_code == 404
    assert others.json()["detail"].replace("other-lab", "no-such-lab") == nobodys.json()["detail"]
    assert refusals(ada) == 2


def test_a_deactivated_account_is_refused_at_once(ada: User) -> None:
    tokens = sign_in(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert ask(tokens["access_token"]).status_code == 403
    assert refresh(tokens["refresh_token"]).status_code == 400
    assert refusals(ada) == 1


def test_a_token_of_another_program_or_for_another_purpose_is_none(ada: User) -> None:
    tokens = sign_in(ada)
    Token.objects.filter(type=Token.Type.ACCESS_TOKEN).update(scopes="openid")
    assert ask(tokens["access_token"]).status_code == 401
    other = OAuthClient.objects.create(id="other", name="Other")
    Token.objects.filter(type=Token.Type.ACCESS_TOKEN).update(scopes="credentials", client=other)
    assert ask(tokens["access_token"]).status_code == 401
    assert ask(tokens["refresh_token"]).status_code == 401


def test_a_browser_without_a_token_gets_none(ada: User) -> None:
    assert browser(ada).post("/api/credentials/example-lab").status_code == 401


def test_too_many_sessions_are_told_to_wait(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control_plane.access.groups.services.credentials.MAX_SESSIONS_PER_HOUR", 1)
    token = sign_in(ada)["access_token"]
    assert ask(token).status_code == 200
    answer = ask(token)
    assert answer.status_code == 429
    assert "wait a while" in answer.json()["detail"]

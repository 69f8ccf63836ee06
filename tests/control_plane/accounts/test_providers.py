"""Signing in with an account elsewhere: by the settings alone, and only a verified address opens an account."""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from django.test import Client
from pydantic import ValidationError

from control_plane.accounts.models import User
from control_plane.accounts.providers import provider_settings
from control_plane.base.config import Config, config
from tests.control_plane.account_pages import deeds, delivered, is_signed_in, link_in_mail, signed_in, text_of
from tests.control_plane.identity_server import IdentityServer
from tests.factories import PasswordUserFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]
CALLBACK = "/accounts/oidc/institution/login/callback/"
NEW_LAB = {"use_code": "false", "requested_group": "Meitner Lab"}


@pytest.fixture
def institution(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[IdentityServer]:
    """An institution's server, and the site set up for it."""
    with IdentityServer() as server:
        changed = config().model_copy(
            update={
                "oidc_name": "Example University",
                "oidc_server_url": server.url,
                "oidc_client_id": "cohort",
                "oidc_client_secret": type(config().email_url)("hush"),
                "oidc_email_domains": ("example.org",),
            }
        )
        settings.SOCIALACCOUNT_PROVIDERS = provider_settings(changed)
        monkeypatch.setattr("control_plane.accounts.provider_adapter.config", lambda: changed)
        yield server


def come_from(server: IdentityServer, client: Client, process: str = "login", **claims: Any):
    """Go to the institution, sign in there as whom the claims tell, and come back."""
    page = client.post(f"/accounts/oidc/institution/login/?process={process}")
    there = re.search(r'href="(http://127[^"]+)"', page.content.decode())
    assert there is not None, text_of(page)
    query = parse_qs(urlsplit(there.group(1).replace("&amp;", "&")).query)
    server.claims = claims
    return client.get(CALLBACK, {"code": "a-code", "state": query["state"][0]})


class TestTheSettings:
    def test_without_any_there_is_no_button_and_no_address(self, client: Client) -> None:
        page = client.get("/accounts/login/").content.decode()
        assert "Continue with" not in page
        for path in ("google/login/", "github/login/", "orcid/login/", "oidc/institution/login/", "oidc/other/login/"):
            assert client.get(f"/accounts/{path}").status_code == 404, path
            assert client.get(f"/accounts/{path}callback/").status_code == 404, path

    @pytest.mark.parametrize(
        ("name", "path", "label"),
        [("google", "google/login/", "Google"), ("github", "github/login/", "GitHub"), ("orcid", "orcid/login/", "ORCID")],
    )
    def test_with_its_settings_a_provider_has_a_button(
        self, name: str, path: str, label: str, client: Client, settings: Any
    ) -> None:
        changed = config().model_copy(update={f"{name}_client_id": "me", f"{name}_client_secret": type(config().email_url)("hush")})
        settings.SOCIALACCOUNT_PROVIDERS = provider_settings(changed)
        for page in ("login", "signup"):
            assert f"Continue with {label}" in text_of(client.get(f"/accounts/{page}/"))
        assert client.get(f"/accounts/{path}").status_code == 200
        away = client.post(f"/accounts/{path}")
        assert away.status_code == 200, "a page that goes on, as the policy lets no form lead elsewhere"
        assert re.search(r'http-equiv="refresh" content="0;url=https://[^"]+client_id=me', away.content.decode())
        assert "hush" not in away.content.decode()

    @pytest.mark.parametrize(
        "given",
        [
            {"GOOGLE_CLIENT_ID": "me"},
            {"GITHUB_CLIENT_SECRET": "hush"},
            {"OIDC_CLIENT_ID": "me", "OIDC_CLIENT_SECRET": "hush", "OIDC_NAME": "University"},
            {"OIDC_SERVER_URL": "http://login.example.org", "OIDC_CLIENT_ID": "me", "OIDC_CLIENT_SECRET": "h", "OIDC_NAME": "U"},
            {"OIDC_EMAIL_DOMAINS": "exa_mple"},
            {"SIGN_UP": "perhaps"},
            {"REQUIRE_MFA": "everybody"},
            {"TRUSTED_PROXIES": "-1"},
        ],
    )
    def test_half_of_them_or_a_bad_one_stops_the_program(self, given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ValidationError) as caught:
            Config()
        assert "hush" not in str(caught.value)


def test_a_newcomer_signs_up_with_an_address_that_the_institution_verified(institution: IdentityServer, client: Client) -> None:
    come = come_from(institution, client, sub="42", email="Lise@example.org", email_verified=True, name="Lise Meitner")
    assert come["location"] == "/accounts/3rdparty/signup/"
    page = client.get("/accounts/3rdparty/signup/")
    assert "You come from Example University" in text_of(page)
    assert 'value="Lise Meitner"' in page.content.decode()
    done = client.post("/accounts/3rdparty/signup/", {"email": "lise@example.org", "name": "Lise Meitner", **NEW_LAB})
    assert done["location"] == "/"
    assert is_signed_in(client)
    user = User.objects.get(email="lise@example.org")
    assert (user.name, user.has_usable_password()) == ("Lise Meitner", False)
    assert {"account.sign_up", "account.address_verified", "account.sign_in"} <= set(deeds())
    again = Client()
    assert come_from(institution, again, sub="42", email="lise@example.org", email_verified=True)["location"] == "/"
    assert is_signed_in(again)


def test_a_newcomer_who_gives_another_address_must_verify_it(institution: IdentityServer, client: Client) -> None:
    come_from(institution, client, sub="42", email="lise@example.org", email_verified=True, name="Lise")
    done = client.post("/accounts/3rdparty/signup/", {"email": "other@example.org", "name": "Lise", **NEW_LAB})
    user = User.objects.get()
    verified = set(EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True))
    assert "other@example.org" not in verified
    assert user.email in verified or done["location"] == "/accounts/confirm-email/"


@pytest.mark.parametrize("claims", [{}, {"email": "lise@example.org"}, {"email": "lise@example.org", "email_verified": "false"}])
def test_without_a_verified_address_it_is_asked_for_and_verified(institution: IdentityServer, client: Client, claims: Any) -> None:
    assert come_from(institution, client, sub="42", **claims)["location"] == "/accounts/3rdparty/signup/"
    done = client.post("/accounts/3rdparty/signup/", {"email": "lise@example.org", "name": "Lise", **NEW_LAB})
    assert done["location"] == "/accounts/confirm-email/"
    assert not is_signed_in(client)
    client.post(link_in_mail("lise@example.org"))
    assert is_signed_in(client)


def test_a_verified_address_opens_the_account_that_has_it(institution: IdentityServer, client: Client) -> None:
    ada = PasswordUserFactory.create()
    assert come_from(institution, client, sub="1", email="ADA@example.org", email_verified=True)["location"] == "/"
    assert is_signed_in(client)
    assert SocialAccount.objects.get().user == ada
    assert ada.has_usable_password()
    assert "account.provider_connected" in deeds()


@pytest.mark.parametrize(
    ("email", "verified"),
    [
        ("ada@example.org", False),
        ("ada@example.org", "true"),
        ("ada@example.org", None),
        ("ada@elsewhere.example", True),
        ("ada@sub.example.org", True),
    ],
)
def test_no_other_word_opens_an_account(institution: IdentityServer, client: Client, email: str, verified: Any) -> None:
    PasswordUserFactory.create(email=email)
    delivered().clear()
    come_from(institution, client, sub="1", email=email, email_verified=verified)
    client.post("/accounts/3rdparty/signup/", {"email": email, "name": "Mallory", **NEW_LAB})
    assert not is_signed_in(client)
    assert not SocialAccount.objects.exists()
    assert User.objects.count() == 1
    assert {message.subject for message in delivered()} == {"You have an account already"}


def test_an_account_that_waits_unverified_is_not_opened(institution: IdentityServer, client: Client) -> None:
    """Somebody signed up with another's address and a password that they know, and waits for the owner to come."""
    UserFactory.create(email="lise@example.org", password="known to its maker", unverified=True)
    come_from(institution, client, sub="1", email="lise@example.org", email_verified=True)
    assert not is_signed_in(client)
    assert not SocialAccount.objects.exists()


def test_a_deactivated_account_is_not_opened(institution: IdentityServer, client: Client) -> None:
    PasswordUserFactory.create(is_active=False)
    come_from(institution, client, sub="1", email="ada@example.org", email_verified=True)
    assert not is_signed_in(client)


def test_second_factors_are_asked_for_all_the_same(institution: IdentityServer, client: Client) -> None:
    from tests.control_plane.accounts.test_second_factors import set_up_app

    PasswordUserFactory.create()
    set_up_app(signed_in())
    answer = come_from(institution, client, sub="1", email="ada@example.org", email_verified=True)
    assert answer["location"] == "/accounts/2fa/authenticate/"
    assert not is_signed_in(client)


@pytest.mark.parametrize("query", [{"code": "a-code"}, {"code": "a-code", "state": "forged"}, {"error": "access_denied"}])
def test_a_return_that_nobody_asked_for_is_refused(institution: IdentityServer, client: Client, query: dict[str, str]) -> None:
    institution.claims = {"sub": "1", "email": "ada@example.org", "email_verified": True}
    PasswordUserFactory.create()
    answer = client.get(CALLBACK, query, follow=True)
    assert answer.status_code in (200, 401)
    assert re.search("did not work|not signed in", text_of(answer))
    assert not is_signed_in(client)


def test_a_token_for_another_site_is_refused(institution: IdentityServer, client: Client) -> None:
    PasswordUserFactory.create()
    institution.audience = "another-site"
    come_from(institution, client, sub="1", email="ada@example.org", email_verified=True)
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    "odd", [["ada@example.org"], {"a": 1}, 7, True, None, "", "a\0@example.org", "\ud800@example.org", "x" * 5000]
)
def test_an_address_of_another_type_is_as_good_as_none(institution: IdentityServer, client: Client, odd: Any) -> None:
    PasswordUserFactory.create()
    answer = come_from(institution, client, sub="1", email=odd, email_verified=True)
    assert answer["location"] == "/accounts/3rdparty/signup/"
    assert 'name="email"' in client.get("/accounts/3rdparty/signup/").content.decode()
    assert not is_signed_in(client)


@pytest.mark.parametrize("odd", [["Ada"], {"a": 1}, 7, None, "a\0b", "\ud800", "x" * 5000])
def test_no_other_claim_of_another_type_keeps_anybody_out(institution: IdentityServer, client: Client, odd: Any) -> None:
    others = ("name", "given_name", "family_name", "preferred_username", "picture", "locale", "email_verified")
    answer = come_from(institution, client, sub="1", email="ada@example.org", **dict.fromkeys(others, odd))
    assert answer["location"] == "/accounts/3rdparty/signup/"
    assert client.get("/accounts/3rdparty/signup/").status_code == 200


@pytest.mark.parametrize("odd", [["1"], {"a": 1}, True, None, "", "a\0b", "\ud800", "x" * 500])
def test_who_has_no_name_at_the_institution_is_not_signed_in(institution: IdentityServer, client: Client, odd: Any) -> None:
    PasswordUserFactory.create()
    answer = come_from(institution, client, sub=odd, email="ada@example.org", email_verified=True)
    assert "did not work" in text_of(answer)
    assert not is_signed_in(client)


@pytest.mark.parametrize("whole", [[], ["ada"], "ada", 7])
def test_an_answer_that_is_no_claims_at_all_is_not_believed(institution: IdentityServer, client: Client, whole: Any) -> None:
    PasswordUserFactory.create()
    institution.userinfo = whole
    answer = come_from(institution, client, email="ada@example.org", email_verified=True)
    assert "did not work" in text_of(answer)
    assert not is_signed_in(client)


def test_another_provider_s_answer_that_cannot_be_read_is_said(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = config().model_copy(update={"github_client_id": "cohort", "github_client_secret": type(config().email_url)("hush")})
    settings.SOCIALACCOUNT_PROVIDERS = provider_settings(changed)
    monkeypatch.setattr(OAuth2Client, "get_access_token", lambda *_, **__: {"access_token": "opaque"})
    answers = SimpleNamespace(raise_for_status=lambda: None, status_code=200, json=lambda: ["not", "a", "person"])
    monkeypatch.setattr("requests.Session.request", lambda *_, **__: answers)
    page = client.post("/accounts/github/login/").content.decode()
    state = re.search(r"state=([^&\"]+)", page)
    assert state is not None
    answer = client.get("/accounts/github/login/callback/", {"code": "a-code", "state": state[1]})
    assert answer.status_code == 502
    assert "did not work" in text_of(answer)


def test_a_server_that_is_away_is_said(institution: IdentityServer, client: Client) -> None:
    institution.is_broken = True
    answer = client.post("/accounts/oidc/institution/login/")
    assert "did not work" in text_of(answer)


def test_accounts_elsewhere_are_connected_and_disconnected(institution: IdentityServer) -> None:
    ada = PasswordUserFactory.create()
    client = signed_in()
    come_from(institution, client, process="connect", sub="7", email="ada@home.example", email_verified=True, name="Ada")
    account = SocialAccount.objects.get()
    assert account.user == ada
    assert "Example University" in text_of(client.get("/accounts/3rdparty/"))
    client.post("/accounts/3rdparty/", {"account": account.pk})
    assert not SocialAccount.objects.exists()
    assert {"account.provider_connected", "account.provider_disconnected"} <= set(deeds())


def test_the_only_way_in_is_not_disconnected(institution: IdentityServer, client: Client) -> None:
    come_from(institution, client, sub="42", email="lise@example.org", email_verified=True, name="Lise")
    client.post("/accounts/3rdparty/signup/", {"email": "lise@example.org", "name": "Lise", **NEW_LAB})
    answer = client.post("/accounts/3rdparty/", {"account": SocialAccount.objects.get().pk})
    assert "Set a password first" in text_of(answer)
    assert SocialAccount.objects.exists()


def test_the_identity_server_is_honest() -> None:
    with IdentityServer() as server:
        server.claims = {"sub": "1"}
        assert jwt.decode(server.id_token(), options={"verify_signature": False})["iss"] == server.url

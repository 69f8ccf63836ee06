"""Signing in, passwords, and the limits that slow down who guesses."""

from datetime import timedelta

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache, caches
from django.test import Client
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from control_plane.base.config import config
from tests.control_plane.account_pages import (
    NEW_PASSWORD,
    deeds,
    delivered,
    is_signed_in,
    link_in_mail,
    sign_in,
    signed_in,
    text_of,
)
from tests.factories import PASSWORD, PasswordUserFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]


def set_anew(client: Client, link: str, password: str = NEW_PASSWORD):
    form = client.get(link)["location"]
    return client.post(form, {"password1": password, "password2": password}, follow=True)


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(client: Client) -> None:
    PasswordUserFactory.create()
    wrong = text_of(sign_in(client, password="guessed it"))
    unknown = text_of(sign_in(client, "nobody@example.org", "guessed it"))
    assert "do not go together" in wrong
    assert wrong == unknown
    assert not is_signed_in(client)


def test_failures_are_in_the_audit_trail_for_accounts_that_exist(client: Client) -> None:
    PasswordUserFactory.create()
    sign_in(client, password="guessed it")
    sign_in(client, "my secret typed into the wrong field", "guessed it")
    rows = AuditEvent.objects.filter(action="account.sign_in_failed")
    assert [(row.target, row.actor_user) for row in rows] == [("ada@example.org", None)]
    assert "guessed it" not in str(list(AuditEvent.objects.values()))


def test_after_five_wrong_tries_even_the_right_password_waits(client: Client) -> None:
    PasswordUserFactory.create()
    for _ in range(5):
        sign_in(client, password="guessed it")
    assert "wait five minutes" in text_of(sign_in(client))
    assert not is_signed_in(client)
    cache.clear()
    assert sign_in(client).status_code == 302


def test_one_place_that_tries_many_accounts_is_slowed_down() -> None:
    answers = [sign_in(Client(), f"p{number}@example.org", "guessed it") for number in range(11)]
    assert "wait five minutes" in text_of(answers[-1])
    assert "wait five minutes" not in text_of(answers[-2])


def test_limits_hold_across_processes() -> None:
    assert cache.__class__.__name__ == "ConnectionProxy"
    assert type(caches["default"]).__name__ == "DatabaseCache"


def test_a_deactivated_account_cannot_sign_in_and_is_signed_out_on_its_next_request(client: Client) -> None:
    ada = PasswordUserFactory.create()
    sign_in(client)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert not is_signed_in(client)
    assert client.get("/")["location"].startswith("/accounts/login/")
    assert "not active" in text_of(sign_in(Client(), follow=True))


def test_the_way_back_is_kept_to_this_site(client: Client) -> None:
    PasswordUserFactory.create()
    assert sign_in(client, follow=False).status_code == 302
    other = Client().post("/accounts/login/", {"login": "ada@example.org", "password": PASSWORD, "next": "https://evil.example/"})
    assert other["location"] == "/"


def test_a_password_is_set_anew_by_a_link_that_serves_once(client: Client) -> None:
    PasswordUserFactory.create()
    elsewhere = signed_in()
    delivered().clear()
    client.post("/accounts/password/reset/", {"email": "ada@example.org"})
    link = link_in_mail("ada@example.org")
    assert "is set" in text_of(set_anew(client, link))
    assert not is_signed_in(elsewhere), "whoever was signed in is signed out"
    assert sign_in(Client(), password=PASSWORD).status_code == 200
    assert sign_in(Client(), password=NEW_PASSWORD).status_code == 302
    assert "does not serve any more" in text_of(Client().get(link, follow=True))
    assert "account.password_reset" in deeds()
    assert delivered()[-1].subject == "Your password was changed"


def test_a_link_for_a_password_expires_within_a_day(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    PasswordUserFactory.create()
    client.post("/accounts/password/reset/", {"email": "ada@example.org"})
    link = link_in_mail("ada@example.org")
    later = timezone.now().replace(tzinfo=None) + timedelta(hours=25)
    monkeypatch.setattr("django.contrib.auth.tokens.PasswordResetTokenGenerator._now", lambda self: later)
    assert "does not serve any more" in text_of(client.get(link, follow=True))


@pytest.mark.parametrize("key", ["1-abc-def", "zzzz-cc1m4s-0123456789abcdef", "x-y"])
def test_a_forged_link_for_a_password_says_so(client: Client, key: str) -> None:
    PasswordUserFactory.create()
    assert "does not serve any more" in text_of(client.get(f"/accounts/password/reset/key/{key}/", follow=True))


def test_whoever_asks_for_a_password_learns_nothing_about_accounts(client: Client) -> None:
    PasswordUserFactory.create()
    known = client.post("/accounts/password/reset/", {"email": "ada@example.org"}, follow=True)
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.org"}, follow=True)
    assert text_of(known).replace("ada@", "nobody@") == text_of(unknown)
    assert [message.to for message in delivered()] == [["ada@example.org"], ["nobody@example.org"]]
    assert link_in_mail("nobody@example.org") == "/accounts/signup/"


def test_somebody_made_without_a_password_sets_one_and_signs_in(client: Client) -> None:
    UserFactory.create(email="grace@example.org")
    client.post("/accounts/password/reset/", {"email": "grace@example.org"})
    set_anew(client, link_in_mail("grace@example.org"))
    assert sign_in(client, "grace@example.org", NEW_PASSWORD)["location"] == "/"


def test_messages_to_one_address_are_limited(client: Client) -> None:
    PasswordUserFactory.create()
    answers = [client.post("/accounts/password/reset/", {"email": "ada@example.org"}).status_code for _ in range(6)]
    assert answers[-1] != 302
    assert len(delivered()) == 5


def test_whoever_signed_up_with_somebody_elses_address_loses_the_way_in(client: Client) -> None:
    """An account that waits, unverified, with an account elsewhere of its maker's: the address's owner takes it over alone."""
    waiting = UserFactory.create(email="lise@example.org", password="known to its maker", unverified=True)
    SocialAccount.objects.create(user=waiting, provider="orcid", uid="0000-0001-2345-6789")
    client.post("/accounts/password/reset/", {"email": "lise@example.org"})
    set_anew(client, link_in_mail("lise@example.org"))
    assert not SocialAccount.objects.exists()
    assert sign_in(Client(), "lise@example.org", "known to its maker").status_code == 200


def test_a_password_is_changed_and_other_browsers_are_signed_out(client: Client) -> None:
    PasswordUserFactory.create()
    here, there = signed_in(), signed_in()
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    refused = here.post("/accounts/password/change/", form | {"oldpassword": "wrong"})
    assert "current password" in text_of(refused)
    assert here.post("/accounts/password/change/", form).status_code == 302
    assert is_signed_in(here)
    assert not is_signed_in(there)
    assert "account.password_changed" in deeds()
    assert NEW_PASSWORD not in str(list(AuditEvent.objects.values()))


@pytest.mark.parametrize(
    ("proxies", "forwarded", "told"),
    [
        (0, "198.51.100.7", "127.0.0.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.9, 198.51.100.7, 10.0.0.1", "198.51.100.7"),
        (2, "198.51.100.7", "127.0.0.1"),
        (1, "not an address", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_who_comes_is_told_by_proxies_of_ones_own_alone(
    client: Client, monkeypatch: pytest.MonkeyPatch, proxies: int, forwarded: str, told: str
) -> None:
    changed = config().model_copy(update={"trusted_proxies": proxies})
    monkeypatch.setattr("control_plane.accounts.middleware.config", lambda: changed)
    PasswordUserFactory.create()
    sign_in(client, headers={"x-forwarded-for": forwarded})
    assert AuditEvent.objects.get(action="account.sign_in").address == told

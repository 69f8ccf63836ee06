"""Signing up: an address that is verified, a name, and no way to learn who has an account."""

import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from control_plane.base.config import config
from tests.control_plane.account_pages import Answer, deeds, delivered, is_signed_in, link_in_mail, sign_in, text_of
from tests.factories import PASSWORD, PasswordUserFactory, UserFactory

NEWCOMER = {
    "email": "lise@example.org",
    "name": "Lise Meitner",
    "password1": PASSWORD,
    "password2": PASSWORD,
    "use_code": "false",
    "requested_group": "Meitner Lab",
}

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]


@pytest.fixture
def administrators_client(db: None) -> Client:
    client = Client()
    client.force_login(UserFactory.create(email="root@example.org", password=PASSWORD, administrator=True))
    return client


def sign_up(client: Client, **fields: str) -> Answer:
    return client.post("/accounts/signup/", NEWCOMER | fields)


def test_somebody_signs_up_verifies_the_address_and_is_signed_in(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[User] = []
    monkeypatch.setattr("control_plane.access.groups.receivers.submit_verified_requests", told.append)
    assert sign_up(client)["location"] == "/accounts/confirm-email/"
    assert not is_signed_in(client)
    assert told == []
    assert sign_in(Client(), "lise@example.org")["location"] == "/accounts/confirm-email/", "not before the address is verified"

    link = link_in_mail("lise@example.org")
    assert "Is lise@example.org yours" in text_of(client.get(link))
    client.post(link)
    assert is_signed_in(client)
    user = User.objects.get(email="lise@example.org")
    assert (user.name, told) == ("Lise Meitner", [user])
    assert deeds()[:2] == ["account.sign_up", "account.address_verified"]


def test_the_link_opened_in_another_browser_verifies_but_signs_nobody_in(client: Client) -> None:
    sign_up(client)
    other = Client()
    other.post(link_in_mail("lise@example.org"))
    assert not is_signed_in(other)
    assert sign_in(other, "lise@example.org")["location"] == "/"


def test_a_link_that_was_used_before_says_so(client: Client) -> None:
    sign_up(client)
    link = link_in_mail("lise@example.org")
    client.post(link)
    assert "does not serve any more" in text_of(Client().get(link))
    assert Client().post(link).status_code == 404


@pytest.mark.parametrize("spoil", [lambda link: link[:-3] + "xx/", lambda link: "/accounts/confirm-email/MQ:1abc:forged/"])
def test_a_forged_link_says_so(client: Client, spoil) -> None:
    sign_up(client)
    link = spoil(link_in_mail("lise@example.org"))
    assert "does not serve any more" in text_of(client.get(link))
    assert client.post(link).status_code == 404
    assert not EmailAddress.objects.get(email="lise@example.org").verified


def test_an_expired_link_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_up(client)
    link = link_in_mail("lise@example.org")
    later = (timezone.now() + timedelta(days=4)).timestamp()
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    assert "does not serve any more" in text_of(client.get(link))


def test_an_address_that_has_an_account_is_told_to_its_owner_alone(client: Client) -> None:
    PasswordUserFactory.create(email="lise@example.org")
    delivered().clear()
    fresh = sign_up(Client(), email="fresh@example.org")
    known = sign_up(client, email="LISE@example.org")
    assert (known.status_code, known["location"]) == (fresh.status_code, fresh["location"])
    assert User.objects.filter(email__iexact="lise@example.org").count() == 1
    assert delivered()[-1].to == ["lise@example.org"]
    assert delivered()[-1].subject == "You have an account already"
    assert link_in_mail("lise@example.org") == "/accounts/password/reset/"


def test_two_who_sign_up_with_one_address_at_once_become_one_account(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allauth.account.forms.flows.manage_email.email_already_exists", lambda value: (value, False))
    assert sign_up(client)["location"] == "/accounts/confirm-email/"
    assert sign_up(Client())["location"] == "/accounts/confirm-email/"
    assert User.objects.filter(email="lise@example.org").count() == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"email": "lіse@example.org"}, "valid email address"),
        ({"email": "lise@exаmple.org"}, "CYRILLIC"),
        ({"email": "lise@"}, "valid email address"),
        ({"name": "Li\u202ese"}, "cannot be seen"),
        ({"name": ""}, "required"),
        ({"password1": "short", "password2": "short"}, "too short"),
        ({"password2": "another thing entirely"}, "same password"),
        ({"password1": "lise@example.org", "password2": "lise@example.org"}, "too similar"),
        ({"email": "a" * 250 + "@example.org"}, "at most 254"),
    ],
)
def test_bad_input_is_refused_on_the_form(client: Client, fields: dict[str, str], said: str) -> None:
    answer = sign_up(client, **fields)
    assert answer.status_code == 200
    assert re.search(said, text_of(answer)), text_of(answer)
    assert not User.objects.exists()


def test_sign_up_can_be_closed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = config().model_copy(update={"sign_up": "closed"})
    for module in ("adapter", "templatetags.account_pages"):
        monkeypatch.setattr(f"control_plane.accounts.{module}.config", lambda: closed)
    assert "Sign-up is closed" in text_of(client.get("/accounts/signup/"))
    assert "Sign-up is closed" in text_of(sign_up(client))
    assert "/accounts/signup/" not in client.get("/accounts/login/").content.decode()
    assert not User.objects.exists()


def test_sign_ups_from_one_place_are_slowed_down(client: Client) -> None:
    answers = [sign_up(client, email="").status_code for _ in range(21)]
    assert answers[:20] == [200] * 20
    assert answers[20] == 429
    assert "Too many tries" in text_of(sign_up(client))


def test_people_whom_an_administrator_makes_need_no_verification(client: Client, operator) -> None:
    PasswordUserFactory.create()
    assert sign_in(client)["location"] == "/"
    UserFactory.create(email="admin@example.org", password=PASSWORD, administrator=True)
    assert sign_in(Client(), "admin@example.org")["location"] == "/"
    assert AuditEvent.objects.filter(action="account.sign_in").count() == 2


def test_an_address_that_an_administrator_sets_counts_as_verified(administrators_client, client: Client) -> None:
    ada = PasswordUserFactory.create()
    form = {"email": "ada.new@example.org", "is_active": "on"}
    assert administrators_client.post(f"/admin/accounts/user/{ada.pk}/change/", form).status_code == 302
    assert sign_in(client, "ada.new@example.org")["location"] == "/"
    assert sign_in(Client(), "ada@example.org").status_code == 200
    assert list(EmailAddress.objects.filter(user=ada).values_list("email", "verified")) == [("ada.new@example.org", True)]


def test_no_page_of_sign_up_needs_a_script_or_a_style_inside(client: Client) -> None:
    for path in ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"):
        page = client.get(path).content.decode()
        assert " style=" not in page
        assert not [hit for hit in re.findall(r"<script[^>]*>", page) if "src=" not in hit and "application/json" not in hit]

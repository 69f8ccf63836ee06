"""One's own account: name, address, browsers signed in."""

import time
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.core import signing
from django.test import Client

from control_plane.accounts.models import User
from control_plane.accounts.services.addresses import make_link_token
from control_plane.base.audit.models import AuditEvent
from tests.control_plane.account_pages import deeds, delivered, is_signed_in, link_in_mail, sign_in, signed_in, text_of
from tests.factories import PASSWORD, PasswordUserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def ask_for(client: Client, email: str):
    return client.post("/accounts/email/", {"action_add": "", "email": email}, follow=True)


def test_the_page_shows_what_there_is_in_few_queries(django_assert_max_num_queries) -> None:
    PasswordUserFactory.create(name="Ada Lovelace")
    client = signed_in()
    with django_assert_max_num_queries(12):
        page = text_of(client.get("/accounts/profile/"))
    where = "1 browser, this one included, and 0 computers"
    for words in ("ada@example.org verified", "Change the password", "Second factors", where, "Delete my account"):
        assert words in page


def test_nobody_else_sees_it(client: Client) -> None:
    for path in ("profile", "delete", "email", "2fa", "sessions", "3rdparty", "password/change"):
        assert client.get(f"/accounts/{path}/")["location"].startswith("/accounts/login/"), path


def test_a_name_is_changed_and_recorded() -> None:
    ada = PasswordUserFactory.create(name="Ada")
    client = signed_in()
    assert "Your name is changed" in text_of(client.post("/accounts/profile/", {"name": " Ada  Lovelace "}, follow=True))
    ada.refresh_from_db()
    assert ada.name == "Ada Lovelace"
    row = AuditEvent.objects.get(action="account.renamed")
    assert row.details == {"before": {"name": "Ada"}, "after": {"name": "Ada Lovelace"}}


@pytest.mark.parametrize("name", ["Ad\u202ea", "\u0410da L\u043evelace", "x" * 121, "a\x01b"])
def test_a_bad_name_is_refused(name: str) -> None:
    PasswordUserFactory.create(name="Ada")
    answer = signed_in().post("/accounts/profile/", {"name": name})
    assert answer.status_code == 422
    assert User.objects.get().name == "Ada"


def test_a_name_is_no_markup() -> None:
    PasswordUserFactory.create(name="<script>alert(1)</script>")
    assert "<script>alert" not in signed_in().get("/accounts/profile/").content.decode()


def test_an_address_changes_once_the_new_one_is_verified() -> None:
    ada = PasswordUserFactory.create()
    client = signed_in()
    assert "We are sending a message with a link to ada@new.example.org" in text_of(ask_for(client, "Ada@New.example.org"))
    ada.refresh_from_db()
    assert ada.email == "ada@example.org"
    assert list(EmailAddress.objects.values_list("email", flat=True)) == ["ada@example.org"], "nothing is held for the new one"

    link = link_in_mail("ada@new.example.org")
    assert "From ada@example.org to ada@new.example.org" in text_of(client.get(link))
    client.post(link)
    ada.refresh_from_db()
    assert ada.email == "ada@new.example.org"
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [("ada@new.example.org", True, True)]
    assert [message.to for message in delivered()][-1] == ["ada@example.org"], "the old address is told"
    assert {"account.address_changed", "account.address_verified"} <= set(deeds())
    assert sign_in(Client(), "ada@new.example.org").status_code == 302
    again = client.post(link)
    assert again.status_code == 422
    assert "used before" in text_of(again)


def test_asking_for_another_address_needs_the_password_again() -> None:
    PasswordUserFactory.create()
    client = Client()
    sign_in(client)
    assert client.post("/accounts/email/", {"action_add": "", "email": "x@example.org"})["location"].startswith("/accounts/rea")
    assert delivered() == []


def test_an_address_that_somebody_has_is_told_to_its_owner_alone() -> None:
    PasswordUserFactory.create()
    PasswordUserFactory.create(email="grace@example.org")
    answer = ask_for(signed_in(), "grace@example.org")
    assert "We are sending a message with a link to grace@example.org" in text_of(answer)
    assert delivered()[-1].to == ["grace@example.org"]
    assert delivered()[-1].subject == "You have an account already"


def test_two_who_want_one_address_do_not_both_get_it() -> None:
    PasswordUserFactory.create()
    PasswordUserFactory.create(email="grace@example.org")
    first, second = signed_in(), signed_in("grace@example.org")
    links = {
        who: make_link_token(User.objects.get(email=who), "shared@example.org") for who in ("ada@example.org", "grace@example.org")
    }
    first.post(f"/accounts/email/change/{links['ada@example.org']}/")
    late = second.post(f"/accounts/email/change/{links['grace@example.org']}/")
    assert late.status_code == 422
    assert "cannot be used for this account" in text_of(late)
    assert User.objects.filter(email="shared@example.org").count() == 1


def test_a_link_of_somebody_elses_is_refused_and_recorded() -> None:
    PasswordUserFactory.create()
    grace = PasswordUserFactory.create(email="grace@example.org")
    answer = signed_in().post(f"/accounts/email/change/{make_link_token(grace, 'mine@example.org')}/")
    assert answer.status_code == 403
    assert AuditEvent.objects.filter(action="access.refused", actor="ada@example.org").exists()


def test_a_link_that_is_too_old_or_forged_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = PasswordUserFactory.create()
    client = signed_in()
    token = make_link_token(ada, "ada@new.example.org")
    forged = signing.dumps({"user": ada.pk, "from": ada.email, "to": "mallory@example.org"}, salt="guessed")
    assert client.post(f"/accounts/email/change/{forged}/").status_code == 422
    late = time.time() + timedelta(hours=25).total_seconds()
    with monkeypatch.context() as patched:
        patched.setattr("django.core.signing.time.time", lambda: late)
        from control_plane.accounts.services.addresses import LinkNotValid, read_link_token

        with pytest.raises(LinkNotValid):
            read_link_token(ada, token)


@pytest.mark.parametrize("email", ["", "no address", "ада@example.org", "ada@example.org", "a" * 250 + "@example.org"])
def test_a_bad_address_is_refused(email: str) -> None:
    PasswordUserFactory.create()
    ask_for(signed_in(), email)
    assert delivered() == []


def test_browsers_are_listed_and_one_is_signed_out_from_another() -> None:
    PasswordUserFactory.create()
    here, there = signed_in(), signed_in(headers={"user-agent": LINUX})
    page = text_of(here.get("/accounts/sessions/"))
    assert "Firefox on Linux" in page
    assert "this one" in page
    other = UserSession.objects.get(user_agent=LINUX)
    assert "That browser is signed out" in text_of(here.post(f"/accounts/sessions/{other.pk}/end/", follow=True))
    assert is_signed_in(here)
    assert not is_signed_in(there)
    assert "account.sessions_ended" in deeds()


def test_all_others_are_signed_out_at_once() -> None:
    PasswordUserFactory.create()
    here, others = signed_in(), [signed_in(), signed_in()]
    here.post("/accounts/sessions/")
    assert is_signed_in(here)
    assert not any(is_signed_in(other) for other in others)


def test_the_list_of_browsers_costs_the_same_with_many(django_assert_max_num_queries) -> None:
    ada = PasswordUserFactory.create()
    client = signed_in()
    for _ in range(60):
        assert sign_in(Client(REMOTE_ADDR=f"10.0.0.{_}")).status_code == 302
    with django_assert_max_num_queries(8):
        page = client.get("/accounts/sessions/")
    assert page.content.decode().count("<tr>") == 51
    ada.set_password("another long enough one")
    ada.save()
    client.force_login(ada)
    assert text_of(client.get("/accounts/sessions/")).count("Sign out ,") == 0, "what a changed password closed is not listed"


def test_somebody_elses_browser_cannot_be_signed_out() -> None:
    PasswordUserFactory.create()
    PasswordUserFactory.create(email="grace@example.org")
    grace = signed_in("grace@example.org")
    theirs = UserSession.objects.get(user__email="grace@example.org")
    client = signed_in()
    assert client.post(f"/accounts/sessions/{theirs.pk}/end/").status_code == 404
    assert client.get(f"/accounts/sessions/{theirs.pk}/end/").status_code == 405
    assert is_signed_in(grace)
    assert AuditEvent.objects.filter(action="access.refused", actor="ada@example.org").exists()


@pytest.mark.parametrize(
    "path",
    [
        "profile/",
        "delete/",
        "deleted/?groups=2",
        "deleted/?groups=x",
        "email/",
        "email/change/forged/",
        "sessions/",
        "password/change/",
        "password/reset/",
        "password/reset/done/",
        "2fa/",
        "2fa/totp/activate/",
        "2fa/webauthn/",
        "2fa/webauthn/add/",
        "3rdparty/",
        "reauthenticate/",
        "logout/",
        "inactive/",
        "3rdparty/login/cancelled/",
        "3rdparty/login/error/",
    ],
)
def test_every_page_has_our_look_and_nothing_that_the_policy_forbids(path: str) -> None:
    PasswordUserFactory.create()
    answer = signed_in().get(f"/accounts/{path}")
    page = answer.content.decode()
    assert answer.status_code in (200, 401, 422), path
    assert "<title>" in page
    assert " · Cohort</title>" in page
    assert 'id="main"' in page
    assert " style=" not in page
    assert " onclick=" not in page
    assert page.count("<h1") == 1
    csp = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in csp


def test_a_forged_form_is_refused() -> None:
    PasswordUserFactory.create(name="Ada")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get())
    for path in ("profile/", "delete/", "email/", "sessions/", "password/change/"):
        assert client.post(f"/accounts/{path}", {"name": "Mallory", "typed_email": "ada@example.org"}).status_code == 403, path
    assert User.objects.get().name == "Ada"
    assert sign_in(Client(), password=PASSWORD).status_code == 302

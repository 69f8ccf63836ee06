"""Wrong passwords and codes: they slow down who tries them, and lock nobody else out."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from control_plane.accounts import attempts, known_devices
from control_plane.accounts.models import User
from tests.control_plane.account_pages import NEW_PASSWORD, is_signed_in, link_in_mail, sign_in, signed_in, text_of, totp
from tests.factories import PASSWORD, PasswordUserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]

STRANGER, HOME = "198.51.100.7", "203.0.113.9"
SECOND_STEP = "/accounts/2fa/authenticate/"


def browser(address: str = HOME) -> Client:
    return Client(REMOTE_ADDR=address)


def guess(client: Client, times: int, email: str = "ada@example.org") -> str:
    """What the last of these wrong passwords is answered."""
    return text_of([sign_in(client, email, f"guess {number}") for number in range(times)][-1])


def is_locked(client: Client, email: str = "ada@example.org") -> bool:
    return "Too many wrong tries" in text_of(sign_in(client, email))


def refusal(answer: Any) -> str:
    """What the page says, and what the hidden field for a passkey's proof says, which a browser's script fills."""
    form = answer.context.get("webauthn_form")
    return text_of(answer) + (form.errors.as_text() if form else "")


def with_app(user: User) -> str:
    """Set up an authenticator app for this person; returns its secret."""
    client = signed_in(user.email)
    secret = client.get("/accounts/2fa/totp/activate/").context["form"].secret
    assert client.post("/accounts/2fa/totp/activate/", {"code": totp(secret)}).status_code == 302
    cache.clear()
    return str(secret)


def test_wrong_passwords_from_one_address_lock_the_owner_out_of_no_other() -> None:
    PasswordUserFactory.create()
    guess(browser(STRANGER), 5)
    assert is_locked(browser(STRANGER))
    assert sign_in(browser(HOME)).status_code == 302


def test_an_address_that_is_locked_for_one_account_opens_another() -> None:
    PasswordUserFactory.create()
    PasswordUserFactory.create(email="grace@example.org")
    guess(browser(), 5)
    assert is_locked(browser())
    assert sign_in(browser(), "grace@example.org").status_code == 302


def test_a_known_device_is_not_locked_by_what_others_try_at_the_same_address() -> None:
    PasswordUserFactory.create()
    known = browser()
    sign_in(known)
    known.post("/accounts/logout/")
    guess(browser(), 11)
    assert is_locked(browser())
    assert sign_in(known).status_code == 302


def test_a_known_device_has_ten_tries_in_an_hour_wherever_it_is() -> None:
    PasswordUserFactory.create()
    known = browser()
    sign_in(known)
    known.post("/accounts/logout/")
    assert "Too many" not in guess(known, 10)
    assert "wait an hour" in text_of(sign_in(known))
    assert "wait an hour" in text_of(sign_in(known, REMOTE_ADDR="192.0.2.1"))
    assert sign_in(browser()).status_code == 302


def test_a_browser_is_known_to_the_accounts_that_were_signed_in_there_and_to_no_other() -> None:
    PasswordUserFactory.create()
    PasswordUserFactory.create(email="grace@example.org")
    known = browser()
    sign_in(known)
    known.post("/accounts/logout/")
    guess(known, 5, "grace@example.org")
    assert is_locked(known, "grace@example.org"), "five tries, as for a stranger"
    assert sign_in(known).status_code == 302


def test_a_device_is_not_known_any_more_once_the_password_changes() -> None:
    PasswordUserFactory.create()
    known, elsewhere = browser(), signed_in(REMOTE_ADDR="192.0.2.1")
    sign_in(known)
    known.post("/accounts/logout/")
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert elsewhere.post("/accounts/password/change/", form).status_code == 302
    guess(known, 5)
    assert is_locked(known), "five tries, as for a stranger"
    elsewhere.post("/accounts/logout/")
    assert "Too many" not in guess(elsewhere, 10), "the browser that changed it is known by the new password"


@pytest.mark.parametrize("spoil", [lambda value: value[:-4] + "AAAA", lambda value: "", lambda value: "1:2:3"])
def test_a_forged_cookie_makes_no_device_known(spoil) -> None:
    PasswordUserFactory.create()
    known = browser()
    sign_in(known)
    known.post("/accounts/logout/")
    known.cookies[known_devices.COOKIE] = spoil(known.cookies[known_devices.COOKIE].value)
    guess(known, 5)
    assert is_locked(known)


def test_the_cookie_of_a_known_device_opens_nothing_and_names_nobody() -> None:
    PasswordUserFactory.create()
    known = browser()
    sign_in(known)
    morsel = known.cookies[known_devices.COOKIE]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Lax", "/accounts/")
    other = browser(STRANGER)
    other.cookies[known_devices.COOKIE] = morsel.value
    assert not is_signed_in(other)
    assert "ada" not in morsel.value


def test_a_shared_computer_keeps_the_accounts_of_late() -> None:
    shared = browser()
    for number in range(known_devices.MAX_ACCOUNTS + 3):
        PasswordUserFactory.create(email=f"p{number}@example.org")
        sign_in(shared, f"p{number}@example.org")
        shared.post("/accounts/logout/")
        cache.clear()
    assert len(shared.cookies[known_devices.COOKIE].value) < 600
    assert "Too many" not in guess(shared, 10, "p7@example.org")
    assert "Too many" in guess(shared, 6, "p0@example.org")


def test_many_addresses_together_have_a_hundred_tries_in_an_hour_and_a_known_device_goes_on() -> None:
    PasswordUserFactory.create()
    known = browser()
    sign_in(known)
    known.post("/accounts/logout/")
    for number in range(20):
        guess(browser(f"198.51.100.{number}"), 5)
    assert is_locked(browser("192.0.2.1"))
    assert sign_in(known).status_code == 302


def test_what_a_locked_address_goes_on_trying_does_not_count_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(attempts.RATES, "account", "6/h/key")
    PasswordUserFactory.create()
    guess(browser(STRANGER), 9)
    assert sign_in(browser(HOME)).status_code == 302


def test_a_right_password_lifts_a_lock_only_with_the_second_factor() -> None:
    secret = with_app(PasswordUserFactory.create())
    client, beside = browser(), browser()
    guess(beside, 4)
    assert sign_in(client)["location"] == SECOND_STEP
    guess(beside, 1)
    assert is_locked(browser()), "the right password alone took nothing back but itself"
    assert client.post(SECOND_STEP, {"code": totp(secret)})["location"] == "/"
    assert sign_in(browser())["location"] == SECOND_STEP


def test_wrong_codes_from_one_address_lock_the_owner_out_of_no_other() -> None:
    secret = with_app(PasswordUserFactory.create())
    knows_the_password = browser(STRANGER)
    sign_in(knows_the_password)
    for _ in range(5):
        knows_the_password.post(SECOND_STEP, {"code": "000000"})
    assert "wait five minutes" in text_of(knows_the_password.post(SECOND_STEP, {"code": totp(secret, -1)}))
    assert not is_signed_in(knows_the_password)
    owner = browser(HOME)
    sign_in(owner)
    assert owner.post(SECOND_STEP, {"code": totp(secret)})["location"] == "/"


def test_ones_own_second_factor_does_not_lift_the_limit_on_an_address_that_tries_many_accounts() -> None:
    secret = with_app(PasswordUserFactory.create())
    for number in range(9):
        sign_in(browser(), f"p{number}@example.org", "guessed it")
    client = browser()
    sign_in(client)
    assert client.post(SECOND_STEP, {"code": totp(secret)})["location"] == "/"
    assert "Too many" in guess(browser(), 2, "another@example.org")


@pytest.mark.parametrize(
    ("path", "proof"),
    [
        (SECOND_STEP, {"code": "000000"}),
        (SECOND_STEP, {"credential": '{"id": "AAAA"}'}),
        ("/accounts/2fa/reauthenticate/", {"code": "000000"}),
        ("/accounts/2fa/totp/activate/", {"code": "000000"}),
    ],
)
def test_wrong_proofs_are_counted_wherever_one_is_taken(path: str, proof: dict[str, str]) -> None:
    """Allauth's own limit is off, since it counts by account alone: a form that is not ours would have none."""
    ada = PasswordUserFactory.create()
    client = signed_in()
    if "activate" not in path:
        with_app(ada)
    if path == SECOND_STEP:
        client = browser()
        sign_in(client)
    client.cookies.pop(known_devices.COOKIE, None)
    for _ in range(5):
        assert "Too many" not in refusal(client.post(path, proof, follow=True))
    assert "Too many wrong tries" in refusal(client.post(path, proof, follow=True))


def test_a_new_password_by_mail_lifts_the_lock(client: Client) -> None:
    PasswordUserFactory.create()
    guess(client, 5)
    client.post("/accounts/password/reset/", {"email": "ada@example.org"})
    client.post(client.get(link_in_mail("ada@example.org"))["location"], {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert sign_in(client, password=NEW_PASSWORD).status_code == 302


def test_an_address_without_an_account_is_locked_like_any_other() -> None:
    guess(browser(), 5, "nobody@example.org")
    assert is_locked(browser(), "nobody@example.org")

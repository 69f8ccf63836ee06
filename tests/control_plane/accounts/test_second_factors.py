"""Second factors: set up, asked for, never in clear in the database, and needed by those who administer."""

import json
import re

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.db import connection
from django.test import Client

from control_plane.accounts.second_factors import SecondFactorAdapter
from control_plane.base.config import config
from tests.control_plane.account_pages import deeds, delivered, is_signed_in, sign_in, signed_in, text_of, totp
from tests.factories import PASSWORD, PasswordUserFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]


def set_up_app(client: Client) -> str:
    """Set up an authenticator app and return its secret."""
    secret: str = client.get("/accounts/2fa/totp/activate/").context["form"].secret
    assert client.post("/accounts/2fa/totp/activate/", {"code": totp(secret)}).status_code == 302
    cache.clear()
    return secret


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = config().model_copy(update={"require_mfa": "staff"})
    monkeypatch.setattr("control_plane.accounts.second_factors.config", lambda: changed)


def test_an_app_is_set_up_and_asked_for() -> None:
    PasswordUserFactory.create()
    secret = set_up_app(signed_in())
    client = Client()
    assert sign_in(client)["location"] == "/accounts/2fa/authenticate/"
    assert not is_signed_in(client)
    assert client.post("/accounts/2fa/authenticate/", {"code": totp(secret)})["location"] == "/"
    assert is_signed_in(client)
    assert "account.factor_added" in deeds()
    assert any(message.subject == "An authenticator app was added" for message in delivered())


def test_setting_one_up_asks_for_the_password_first() -> None:
    PasswordUserFactory.create()
    client = Client()
    sign_in(client)
    assert client.get("/accounts/2fa/totp/activate/")["location"].startswith("/accounts/reauthenticate/")


def test_a_wrong_code_at_set_up_sets_nothing_up() -> None:
    PasswordUserFactory.create()
    client = signed_in()
    secret = client.get("/accounts/2fa/totp/activate/").context["form"].secret
    answer = client.post("/accounts/2fa/totp/activate/", {"code": f"{(int(totp(secret)) + 1) % 1000000:06d}"})
    assert "Incorrect code" in text_of(answer)
    assert not Authenticator.objects.exists()


def test_a_code_serves_once() -> None:
    PasswordUserFactory.create()
    secret = set_up_app(signed_in())
    code = totp(secret)
    first, second = Client(), Client()
    sign_in(first)
    assert first.post("/accounts/2fa/authenticate/", {"code": code}).status_code == 302
    sign_in(second)
    answer = second.post("/accounts/2fa/authenticate/", {"code": code})
    assert "Incorrect code" in text_of(answer)
    assert not is_signed_in(second)


def test_codes_cannot_be_guessed_at_will() -> None:
    PasswordUserFactory.create()
    secret = set_up_app(signed_in())
    client = Client()
    sign_in(client)
    for _ in range(6):
        answer = client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert "wait five minutes" in text_of(answer)
    assert not is_signed_in(client) or totp(secret) == "000000"


def test_the_second_step_alone_leads_nowhere(client: Client) -> None:
    assert client.get("/accounts/2fa/authenticate/")["location"] == "/accounts/login/"
    assert client.post("/accounts/2fa/authenticate/", {"code": "123456"})["location"] == "/accounts/login/"


def test_secrets_lie_encrypted_in_the_database() -> None:
    PasswordUserFactory.create()
    secret = set_up_app(signed_in())
    with connection.cursor() as cursor:
        cursor.execute("SELECT type, data FROM mfa_authenticator")
        rows = dict(cursor.fetchall())
    assert secret not in json.dumps(rows)
    stored = {kind: json.loads(data) if isinstance(data, str) else data for kind, data in rows.items()}
    assert stored["totp"]["secret"].startswith("gAAAA")
    assert stored["recovery_codes"]["seed"].startswith("gAAAA")


def test_an_earlier_key_still_reads(settings) -> None:
    hidden = SecondFactorAdapter().encrypt("a secret")
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another-key-altogether-" * 3
    assert SecondFactorAdapter().decrypt(hidden) == "a secret"


def test_recovery_codes_are_shown_once_and_each_serves_once() -> None:
    PasswordUserFactory.create()
    client = signed_in()
    set_up_app(client)
    page = client.get("/accounts/2fa/recovery-codes/")
    codes = re.findall(r"\b\d{8}\b", page.content.decode())
    assert len(codes) == 10
    assert "no-store" in page.get("Cache-Control", "")
    assert not re.findall(r"\b\d{8}\b", client.get("/accounts/2fa/recovery-codes/").content.decode())
    other = Client()
    sign_in(other)
    assert other.post("/accounts/2fa/authenticate/", {"code": codes[0]}).status_code == 302
    again = Client()
    sign_in(again)
    again.post("/accounts/2fa/authenticate/", {"code": codes[0]})
    assert not is_signed_in(again)


def test_passkeys_are_offered_for_signing_in_and_on_the_page_of_second_factors() -> None:
    PasswordUserFactory.create()
    assert "Use a passkey" in text_of(Client().get("/accounts/login/"))
    options = Client().get("/accounts/2fa/webauthn/login/", headers={"accept": "application/json"}).json()["request_options"]
    assert options["publicKey"]["rpId"] == "testserver"
    client = signed_in()
    page = client.get("/accounts/2fa/webauthn/add/")
    assert page.context["js_data"]["creation_options"]["publicKey"]["rp"]["name"] == "Cohort"
    assert "Passkeys and security keys" in text_of(client.get("/accounts/2fa/"))


@pytest.mark.parametrize("credential", ["", "not json", '{"id": "x"}', '{"type": "public-key", "rawId": "AA", "response": {}}'])
def test_a_forged_passkey_is_refused(client: Client, credential: str) -> None:
    client.get("/accounts/2fa/webauthn/login/", headers={"accept": "application/json"})
    assert client.post("/accounts/2fa/webauthn/login/", {"credential": credential})["location"] == "/accounts/login/"
    assert not is_signed_in(client)


@pytest.mark.usefixtures("strict")
class TestNeededByStaff:
    @pytest.mark.parametrize("path", ["/", "/admin/", "/deployments/", "/accounts/profile/", "/accounts/email/", "/nowhere/"])
    def test_every_page_leads_to_the_second_factors(self, path: str) -> None:
        UserFactory.create(email="admin@example.org", password=PASSWORD, administrator=True)
        client = signed_in("admin@example.org")
        answer = client.get(path, follow=True)
        assert answer.redirect_chain == [("/accounts/2fa/", 302)]
        assert "You administer this site, so a second factor is needed" in text_of(answer)

    def test_the_api_says_so(self) -> None:
        UserFactory.create(email="admin@example.org", password=PASSWORD, administrator=True)
        answer = signed_in("admin@example.org").get("/api/anything")
        assert answer.status_code == 403
        assert "second factor" in answer.json()["error"]

    def test_with_one_the_site_is_open_and_the_last_one_stays(self) -> None:
        UserFactory.create(email="admin@example.org", password=PASSWORD, administrator=True)
        client = signed_in("admin@example.org")
        set_up_app(client)
        assert client.get("/admin/").status_code == 200
        client.post("/accounts/2fa/totp/deactivate/")
        assert Authenticator.objects.filter(type="totp").exists()

    def test_signing_out_stays_possible(self) -> None:
        UserFactory.create(email="admin@example.org", password=PASSWORD, administrator=True)
        client = signed_in("admin@example.org")
        assert client.post("/accounts/logout/")["location"] == "/accounts/login/"

    def test_others_need_none(self) -> None:
        PasswordUserFactory.create()
        assert signed_in().get("/").status_code == 200


def test_by_default_nobody_needs_one() -> None:
    UserFactory.create(email="admin@example.org", password=PASSWORD, administrator=True)
    assert signed_in("admin@example.org").get("/admin/").status_code == 200


def test_removing_one_is_recorded_and_told() -> None:
    PasswordUserFactory.create()
    client = signed_in()
    set_up_app(client)
    client.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.exists()
    assert "account.factor_removed" in deeds()
    assert delivered()[-1].subject == "The authenticator app was removed"

"""What a signed-in person is refused is in the audit trail, whichever part of the site refused it."""

import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from django.http import HttpResponse
from django.test import Client
from django.utils.log import log_response

from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from tests.control_plane.account_pages import signed_in, text_of
from tests.factories import AuthenticatorFactory, PasswordUserFactory, PreviewFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return PasswordUserFactory.create()


@pytest.fixture
def client(ada: User) -> Client:
    return signed_in()


def refusals() -> list[tuple[str, str]]:
    return list(AuditEvent.objects.filter(action="access.refused").order_by("pk").values_list("actor", "target"))


@pytest.mark.parametrize("path", ["/admin/", "/admin/groups/group/", "/admin/accounts/user/1/change/", "/admin/nowhere/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_administration(client: Client, path: str, method: str) -> None:
    assert getattr(client, method)(path).status_code == 403
    assert refusals() == [("ada@example.org", f"{method.upper()} {path}")]


def test_who_is_not_signed_in_is_led_to_sign_in_and_on_no_record(db: None) -> None:
    assert Client().get("/admin/groups/group/")["location"].startswith("/admin/login/")
    assert Client().get("/metrics").status_code == 403
    assert refusals() == []


@pytest.mark.parametrize("path", ["/metrics", "/health/", "/deployments/", "/requests/"])
def test_what_is_for_others_to_see(client: Client, path: str) -> None:
    assert client.get(path).status_code == 403
    assert refusals() == [("ada@example.org", f"GET {path}")]


def test_another_administrator_s_preview(ada: User, client: Client, administrator: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
    theirs, own = (PreviewFactory.create(asked_by=who) for who in (administrator, ada))
    assert client.get(f"/deployments/previews/{theirs.pk}/").status_code == 404
    assert client.get(f"/deployments/previews/{own.pk}/").status_code == 200
    assert refusals() == [("ada@example.org", f"GET /deployments/previews/{theirs.pk}/")]


@pytest.mark.parametrize("verb", ["edit", "remove"])
def test_another_person_s_passkey(ada: User, client: Client, grace: User, verb: str) -> None:
    data = {"name": "key ring"}
    theirs, own = (AuthenticatorFactory.create(user=who, type="webauthn", data=data) for who in (grace, ada))
    address = f"/accounts/2fa/webauthn/keys/{theirs.pk}/{verb}/"
    assert client.post(address, {"name": "mine"}).status_code == 404
    assert client.get(f"/accounts/2fa/webauthn/keys/{own.pk}/{verb}/").status_code == 200
    assert Authenticator.objects.get(pk=theirs.pk).data == data
    assert refusals() == [("ada@example.org", f"POST {address}")]


@pytest.mark.parametrize("model", ["account/emailaddress", "usersessions/usersession", "socialaccount/socialtoken"])
def test_no_administrator_reads_what_others_sign_in_by(administrator: User, model: str) -> None:
    client = Client()
    client.force_login(administrator)
    assert client.get(f"/admin/{model}/").status_code == 404


def test_an_administrator_removes_a_lost_second_factor_without_seeing_it(administrator: User, grace: User) -> None:
    factor = AuthenticatorFactory.create(user=grace, data={"secret": "JBSWY3DPEHPK3PXP"})
    client = Client()
    client.force_login(administrator)
    page = client.get(f"/admin/mfa/authenticator/{factor.pk}/change/")
    assert page.status_code == 200
    assert "JBSWY3DPEHPK3PXP" not in page.content.decode()
    assert client.post(f"/admin/mfa/authenticator/{factor.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Authenticator.objects.exists()
    assert AuditEvent.objects.get(action="account.factor_removed").target == "grace@example.org"


def counts() -> list[tuple[str, str | None, int]]:
    return list(AuditEvent.objects.filter(action="access.refused").order_by("pk").values_list("target", "address", "count"))


def at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime.fromisoformat(moment))


def test_what_is_refused_again_is_counted_by_address_place_and_hour(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, "2026-03-01T10:58:00+00:00")
    for _ in range(3):
        client.get("/health/")
    client.get("/health/", REMOTE_ADDR="192.0.2.7")
    client.get("/review/")
    client.get("/health/")
    at(monkeypatch, "2026-03-01T11:00:00+00:00")
    client.get("/health/")
    assert counts() == [
        ("GET /health/", "127.0.0.1", 4),
        ("GET /health/", "192.0.2.7", 1),
        ("GET /review/", "127.0.0.1", 1),
        ("GET /health/", "127.0.0.1", 1),
    ]


def test_nobody_fills_the_audit_trail_with_addresses(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, "2026-03-01T10:00:00+00:00")
    monkeypatch.setattr("control_plane.base.audit.refusals.MAX_ADDRESSES", 3)
    for number in range(6):
        client.get(f"/admin/nowhere/{number}/")
    client.get("/admin/nowhere/0/")
    assert [(target, count) for target, _, count in counts()] == [
        ("GET /admin/nowhere/0/", 2),
        ("GET /admin/nowhere/1/", 1),
        ("GET /admin/nowhere/2/", 1),
        ("other addresses", 3),
    ]


def test_the_count_is_in_the_list_and_in_the_export(client: Client, administrator: User) -> None:
    client.get("/health/")
    client.get("/health/")
    reader = Client()
    reader.force_login(administrator)
    assert '"count": 2' in reader.get("/admin/audit/auditevent/export/?format=jsonl").getvalue().decode()
    assert "Times" in text_of(reader.get("/admin/audit/auditevent/"))


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What the site's own log says."""
    [console] = [handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler]
    said = StringIO()
    before = console.setStream(said)
    yield said
    console.setStream(before or sys.stderr)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/health/", "WARNING django.request: Forbidden (Permission denied): /health/\n"),
        ("/groups/other-lab/", "WARNING django.request: Not Found: /groups/other-lab/\n"),
        ("/analyses/?q=%00", "ERROR django.security.SuspiciousOperation: a null byte in what was sent\n"),
    ],
)
def test_the_log_has_one_line_of_a_refusal(client: Client, log: StringIO, path: str, line: str) -> None:
    client.get(path)
    assert log.getvalue().split(" ", 2)[2:] == [line]


def test_the_log_tells_where_an_error_of_the_site_s_came_from(log: StringIO) -> None:
    log_response("Internal Server Error", exception=RuntimeError("broken"), response=HttpResponse(status=500), request=None)
    assert "RuntimeError: broken" in log.getvalue()

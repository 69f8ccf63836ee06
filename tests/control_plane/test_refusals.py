"""What a signed-in person is refused is in the audit trail, whichever part of the site refused it."""

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from control_plane.accounts.models import User
from control_plane.audit.models import AuditEvent
from control_plane.deployments.models import Preview
from tests.control_plane.accounts import signed_in, somebody

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return somebody()


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
    theirs, own = (Preview.objects.create(asked_by=who, stack_name="x", title="x", manifest="{}") for who in (administrator, ada))
    assert client.get(f"/deployments/previews/{theirs.pk}/").status_code == 404
    assert client.get(f"/deployments/previews/{own.pk}/").status_code == 200
    assert refusals() == [("ada@example.org", f"GET /deployments/previews/{theirs.pk}/")]


@pytest.mark.parametrize("verb", ["edit", "remove"])
def test_another_person_s_passkey(ada: User, client: Client, grace: User, verb: str) -> None:
    data = {"name": "key ring"}
    theirs, own = (Authenticator.objects.create(user=who, type="webauthn", data=data) for who in (grace, ada))
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
    factor = Authenticator.objects.create(user=grace, type="totp", data={"secret": "JBSWY3DPEHPK3PXP"})
    client = Client()
    client.force_login(administrator)
    page = client.get(f"/admin/mfa/authenticator/{factor.pk}/change/")
    assert page.status_code == 200
    assert "JBSWY3DPEHPK3PXP" not in page.content.decode()
    assert client.post(f"/admin/mfa/authenticator/{factor.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Authenticator.objects.exists()
    assert AuditEvent.objects.get(action="account.factor_removed").target == "grace@example.org"

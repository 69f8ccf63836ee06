"""Django's stock pages beneath /admin/: those that go past audit trail, mail and limits are closed, or lead elsewhere."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from control_plane.access.groups.models import Group
from control_plane.access.rosters.models import Roster
from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from tests.control_plane.account_pages import NEW_PASSWORD, delivered, is_signed_in, link_in_mail, sign_in, text_of
from tests.factories import PASSWORD, AuthenticatorFactory, PasswordUserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]

PEOPLE = "/admin/accounts/user/"
# Which of Django's stock pages change something, each by a service of ours; all others refuse.
THROUGH_SERVICES = {
    "accounts_user_add",
    "accounts_user_change",
    "groups_analysis_add",
    "groups_group_add",
    "mfa_authenticator_delete",
    "rosters_roster_add",
}


@pytest.fixture
def administrators_client(administrator: User) -> Client:
    client = Client()
    client.force_login(administrator)
    return client


def stock_pages() -> Iterator[tuple[str, str]]:
    """Name and address of each page that Django makes for a model, but its list."""
    [admin] = [
        pattern for pattern in get_resolver().url_patterns if isinstance(pattern, URLResolver) and pattern.namespace == "admin"
    ]
    for model in admin.url_patterns:
        if isinstance(model, URLResolver):
            for page in model.url_patterns:
                if isinstance(page, URLPattern) and (page.name or "").rpartition("_")[2] in ("add", "change", "delete", "history"):
                    assert page.name
                    app, name = page.name.split("_")[:2]
                    row = apps.get_model(app, name).objects.order_by("pk").first()
                    yield (
                        page.name,
                        f"/admin/{model.pattern}{page.pattern}".replace("<path:object_id>", str(row.pk) if row else "1"),
                    )


def test_what_is_not_a_service_s_refuses_to_change_anything(administrators_client: Client, group: Group) -> None:
    Roster.objects.create(file_name="people.csv", text="", asked_by="admin@example.org", checked_at=timezone.now())
    pages = dict(stock_pages())
    assert pages.keys() >= THROUGH_SERVICES
    answers = {
        name: administrators_client.post(address, {"post": "yes"}).status_code
        for name, address in pages.items()
        if name not in THROUGH_SERVICES and not name.endswith("_history")
    }
    assert answers == dict.fromkeys(answers, 403)


def test_no_administrator_sets_somebody_s_password(administrators_client: Client, ada: User) -> None:
    passwords = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    assert administrators_client.post(f"{PEOPLE}{ada.pk}/password/", passwords).status_code in (404, 410, 302)
    page = administrators_client.get(f"{PEOPLE}{ada.pk}/change/").content.decode()
    assert 'type="password"' not in page
    assert f"{ada.pk}/password/" not in page
    administrators_client.post(f"{PEOPLE}add/", {"email": "grace@example.org", **passwords})
    for email in ("ada@example.org", "grace@example.org"):
        assert not User.objects.get(email=email).has_usable_password()
        assert sign_in(Client(), email, NEW_PASSWORD).status_code == 200


def test_whoever_is_added_sets_a_password_of_their_own_by_a_link(administrators_client: Client) -> None:
    answer = administrators_client.post(f"{PEOPLE}add/", {"email": "grace@example.org", "name": "Grace"}, follow=True)
    assert "A link to set a password is on its way to grace@example.org" in text_of(answer)
    theirs = Client()
    page = theirs.get(link_in_mail("grace@example.org"), follow=True)
    theirs.post(page.request["PATH_INFO"], {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert sign_in(Client(), "grace@example.org", NEW_PASSWORD)["location"] == "/"
    assert set(AuditEvent.objects.filter(target="grace@example.org").values_list("action", flat=True)) >= {
        "person.create",
        "person.password_link",
        "account.password_reset",
    }


def test_a_link_is_sent_to_the_people_chosen_and_to_nobody_who_is_inactive(administrators_client: Client, ada: User) -> None:
    out = PasswordUserFactory.create(email="grace@example.org", is_active=False)
    chosen = {"action": "send_password_link", "_selected_action": [ada.pk, out.pk], "index": "0"}
    answer = administrators_client.post(PEOPLE, chosen, follow=True)
    assert "1 links are on their way. None was sent to grace@example.org" in text_of(answer)
    assert [message.to for message in delivered()] == [["ada@example.org"]]


def test_the_administration_has_no_sign_in_of_its_own(administrators_client: Client) -> None:
    """Django's form takes any number of passwords, and asks for no second factor."""
    PasswordUserFactory.create(email="other@example.org", is_staff=True, is_superuser=True)
    login = {"username": "other@example.org", "password": PASSWORD}
    administrators_client.post("/admin/login/", login)
    assert "admin@example.org" in text_of(administrators_client.get("/accounts/profile/"))
    stranger = Client()
    assert stranger.post("/admin/login/?next=/admin/groups/group/", login)["location"] == (
        "/accounts/login/?next=%2Fadmin%2Fgroups%2Fgroup%2F"
    )
    assert not is_signed_in(stranger)


def test_the_administration_s_sign_in_leads_to_no_other_site(administrators_client: Client) -> None:
    assert administrators_client.get("/admin/login/?next=https://evil.example.org/")["location"] == "/admin/"


def test_an_own_password_is_changed_on_the_account_s_page(administrators_client: Client, administrator: User) -> None:
    before = administrator.password
    form = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert administrators_client.post("/admin/password_change/", form)["location"] == "/accounts/password/change/"
    administrator.refresh_from_db()
    assert administrator.password == before


def test_signing_out_of_the_administration_is_signing_out(administrators_client: Client) -> None:
    assert administrators_client.post("/admin/logout/")["location"] == "/accounts/login/"
    assert not is_signed_in(administrators_client)


@pytest.mark.parametrize("path", ["r/1/1/", "autocomplete/", "django_tasks_database/dbtaskresult/", "search/?s=a&page=x"])
def test_what_nothing_of_ours_uses_is_not_there(administrators_client: Client, path: str) -> None:
    assert administrators_client.get(f"/admin/{path}").status_code == 404


def test_what_became_of_a_row_is_in_the_audit_trail(administrators_client: Client, ada: User, group: Group) -> None:
    for path, known_as in ((f"accounts/user/{ada.pk}", "ada%40example.org"), (f"groups/group/{group.pk}", "example-lab")):
        answer = administrators_client.get(f"/admin/{path}/history/")
        assert answer["location"] == f"/admin/audit/auditevent/?q={known_as}"
    assert administrators_client.get("/admin/groups/group/10000/history/").status_code == 404


def test_a_person_is_told_what_an_administrator_changed_about_their_account(administrators_client: Client, ada: User) -> None:
    factor = AuthenticatorFactory.create(user=ada)
    administrators_client.post(f"/admin/mfa/authenticator/{factor.pk}/delete/", {"post": "yes"})
    administrators_client.post(f"{PEOPLE}{ada.pk}/change/", {"email": "lovelace@example.org", "is_active": "on"})
    assert [(message.to, message.subject) for message in delivered()] == [
        (["ada@example.org"], "A second factor was removed from your account"),
        (["ada@example.org"], "The address of your account was changed"),
        (["lovelace@example.org"], "The address of your account was changed"),
    ]


def policy(client: Client, path: str) -> dict[str, set[str]]:
    header = client.get(path)["Content-Security-Policy"]
    return {name: set(sources) for name, *sources in (word.split() for word in header.split("; "))}


def test_the_administration_s_pages_run_no_script_but_the_site_s_own_files(administrators_client: Client) -> None:
    for path in ("/admin/", PEOPLE, "/admin/nowhere/"):
        given = policy(administrators_client, path)
        assert given["script-src"] == {"'self'", "'unsafe-eval'"}
        assert given["connect-src"] == given["form-action"] == given["default-src"] == {"'self'"}
        assert given["frame-ancestors"] == given["object-src"] == given["base-uri"] == {"'none'"}


@pytest.mark.parametrize("path", ["/", "/accounts/profile/", "/deployments/", "/analyses/"])
def test_a_page_without_files_may_ask_nobody_but_the_site(administrators_client: Client, path: str) -> None:
    given = policy(administrators_client, path)
    assert given["connect-src"] == {"'self'"}
    assert given["img-src"] | given["media-src"] == {"'self'", "data:", "blob:"}

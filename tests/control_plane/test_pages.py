"""The pages: who may see them, what they refuse, and that they ask the database no more for many rows than for few."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from control_plane.access.groups.models import Group, Membership
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.models import Deployment
from tests.factories import GroupFactory, MembershipFactory, UserFactory, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin_client(administrator: User) -> Client:
    client = Client()
    client.force_login(administrator)
    return client


def populate(count: int, operator: Actor, offset: int = 0) -> None:
    """So many groups, each with a member of its own, half of them still under way."""
    for number in range(offset, offset + count):
        group = GroupFactory.create(slug=f"lab-{number}")
        MembershipFactory.create(group=group, user=UserFactory.create(email=f"p{number}@example.org"))
        if number % 2:
            settle(group.stack)


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/deployments/",
        "/admin/accounts/user/",
        "/admin/groups/group/",
        "/admin/groups/analysis/",
        "/admin/audit/auditevent/",
        "/groups/lab-1/",
    ],
)
def test_a_page_asks_no_more_of_the_database_for_many_rows(admin_client: Client, operator: Actor, path: str) -> None:
    populate(3, operator)
    few = queries(admin_client, path)
    populate(20, operator, offset=3)
    assert queries(admin_client, path) <= few


def test_the_live_columns_are_two_queries_for_all_the_people(admin_client: Client, operator: Actor) -> None:
    populate(10, operator)
    address = "/admin/accounts/user/access/?" + "&".join(f"id={user.pk}" for user in User.objects.all())
    few = queries(admin_client, "/admin/accounts/user/access/")
    assert queries(admin_client, address) <= few + 3


def test_the_live_columns_say_what_is_in_force_and_what_is_under_way(admin_client: Client, operator: Actor) -> None:
    populate(2, operator)
    ids = {user.email: user.pk for user in User.objects.all()}
    page = admin_client.get(f"/admin/accounts/user/access/?id={ids['p0@example.org']}&id={ids['p1@example.org']}").content.decode()
    assert "Giving access to lab-0: waiting" in page
    assert f'href="{Deployment.objects.filter(state="queued").get().get_absolute_url()}"' in page
    assert page.count("✓ yes") == 1
    assert page.count('hx-swap-oob="true"') == 6


def test_a_failed_deployment_shows_in_the_columns(admin_client: Client, operator: Actor) -> None:
    populate(1, operator)
    Deployment.objects.update(state=Deployment.State.FAILED)
    page = admin_client.get(f"/admin/accounts/user/access/?id={User.objects.get(email='p0@example.org').pk}").content.decode()
    assert "Giving access to lab-0: failed" in page


@pytest.mark.parametrize(
    "path",
    ["/", "/deployments/", "/deployments/1/", "/deployments/1/live/", "/groups/example-lab/", "/admin/", "/admin/accounts/user/"],
)
def test_who_is_not_signed_in_is_asked_to(path: str, group: Group) -> None:
    answer = Client().get(path, follow=True)
    assert "/accounts/login/" in answer.redirect_chain[-1][0]


@pytest.mark.parametrize("path", ["/deployments/", "/deployments/1/", "/deployments/1/live/"])
def test_deployments_are_for_administrators(path: str, group: Group, ada: User) -> None:
    client = Client()
    client.force_login(ada)
    answer = client.get(path)
    assert answer.status_code == 403
    assert "shown to administrators" in answer.content.decode()


def test_a_group_s_page_is_for_its_members(group: Group, ada: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=ada)
    for user, status in ((ada, 200), (grace, 404)):
        client = Client()
        client.force_login(user)
        assert client.get("/groups/example-lab/").status_code == status
        assert ("Example Lab" in client.get("/").content.decode()) == (status == 200)


def test_a_failed_deployment_is_explained_and_can_be_asked_for_again(admin_client: Client, group: Group) -> None:
    Deployment.objects.update(
        state=Deployment.State.FAILED, error="It broke.", advice="Mend it.", finished_at="2026-01-01T00:00:00Z"
    )
    address = Deployment.objects.get().get_absolute_url()
    page = admin_client.get(address).content.decode()
    assert "It broke." in page
    assert "Mend it." in page
    assert "Deploy again" in page
    answer = admin_client.post(f"{address}retry/", follow=True)
    assert "has started" in answer.content.decode()
    assert Deployment.objects.filter(state=Deployment.State.QUEUED).count() == 1
    assert AuditEvent.objects.filter(action="deployment.retry").exists()


def test_a_request_without_a_csrf_token_changes_nothing(administrator: User, group: Group) -> None:
    Deployment.objects.update(state=Deployment.State.FAILED)
    client = Client(enforce_csrf_checks=True)
    client.force_login(administrator)
    assert client.post("/deployments/1/retry/").status_code == 403
    assert client.post("/admin/accounts/user/add-to-group/?id=1", {"group": "example-lab", "access": "keys"}).status_code == 403
    assert not Membership.objects.exists()
    assert Deployment.objects.count() == 1


def test_a_page_that_was_open_before_the_last_sign_in_says_what_to_do(administrator: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.get("/accounts/login/")
    strict.force_login(administrator)
    answer = strict.post("/accounts/logout/", {"csrfmiddlewaretoken": "x" * 32})
    assert answer.status_code == 403
    assert "load the page again, and send it once more" in answer.content.decode()


def test_only_new_log_lines_are_sent(admin_client: Client, group: Group) -> None:
    deployment = Deployment.objects.get()
    for number in range(1, 6):
        deployment.log.create(number=number, text=f"line {number}")
    page = admin_client.get(f"/deployments/{deployment.pk}/live/?after=3").content.decode()
    assert "line 3" not in page
    assert "line 4" in page
    assert "after=5" in page


def test_a_log_line_is_text_and_never_markup(admin_client: Client, group: Group) -> None:
    deployment = Deployment.objects.get()
    deployment.log.create(number=1, text="<script>alert(1)</script>")
    assert "<script>alert(1)" not in admin_client.get(f"/deployments/{deployment.pk}/").content.decode()


def test_what_an_administrator_edits_about_a_person_is_on_record(
    admin_client: Client, ada: User, post_person: Callable[..., None]
) -> None:
    post_person(admin_client, ada, requested_group="Example Lab", requested_group_code="abc-123")
    ada.refresh_from_db()
    assert (ada.requested_group, ada.requested_group_code) == ("Example Lab", "abc-123")
    event = AuditEvent.objects.get(action="person.change")
    assert event.details["before"]["requested_group"] == ""
    assert event.details["after"]["requested_group"] == "Example Lab"


@pytest.fixture
def post_person() -> Callable[..., None]:
    def post(client: Client, person: User, **fields: str) -> None:
        answer = client.post(f"/admin/accounts/user/{person.pk}/change/", {"email": person.email, "is_active": "on", **fields})
        assert answer.status_code == 302, answer.content.decode()

    return post


def test_what_a_person_asked_for_is_proposed(admin_client: Client, group: Group, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(requested_group="example lab")
    page = admin_client.get(f"/admin/accounts/user/add-to-group/?id={ada.pk}").content.decode()
    assert 'value="example-lab"' in page


def test_an_account_cannot_be_deleted_under_its_access(admin_client: Client, ada: User) -> None:
    assert admin_client.post(f"/admin/accounts/user/{ada.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=ada.pk).exists()

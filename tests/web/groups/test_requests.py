"""The queue of requests and the link in the e-mail: who sees which, and what can be decided there."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from control_plane.access.groups.models import Group, JoinRequest, Membership
from control_plane.access.groups.services.groups import set_allows_keys
from control_plane.access.groups.services.joining import approve, ask_to_join, decline
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from tests.actors import actor_of, client_of
from tests.factories import GroupFactory, JoinRequestFactory, MembershipFactory, UserFactory, join_code_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(group: Group, grace: User) -> User:
    return MembershipFactory.create(group=group, user=grace, manager=True, deployed=True).user


@pytest.fixture
def other(db: None) -> Group:
    return GroupFactory.create(slug="other-lab", name="Other Lab")


def test_it_works(group: Group, manager: User, ada: User) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    client = client_of(manager)
    page = client.get("/requests/").content.decode()
    assert ada.email in page
    # No choice that would be refused.
    assert 'name="access"' not in page
    answer = client.post(f"/requests/{request.pk}/approve/", {"next": "/requests/?state=waiting"}, follow=True)
    assert answer.redirect_chain == [("/requests/?state=waiting", 302)]
    page = answer.content.decode()
    assert "Giving ada@example.org access to Example Lab has started." in page
    assert 'href="/groups/example-lab/"' in page
    assert Membership.objects.wanted().filter(group=group, user=ada, access="federated", is_manager=False).exists()


def test_managers_see_their_groups_and_administrators_all(
    group: Group, other: Group, manager: User, ada: User, administrator: User
) -> None:
    JoinRequestFactory.create(user=ada, group=group)
    lise = UserFactory.create(email="lise@example.org")
    JoinRequestFactory.create(user=lise, group=other)
    JoinRequestFactory.create(user=lise, new_group_name="Noether Lab")
    for user, names in ((manager, {"Example Lab"}), (administrator, {"Example Lab", "Other Lab", "Noether Lab"})):
        page = client_of(user).get("/requests/").content.decode()
        assert {name for name in ("Example Lab", "Other Lab", "Noether Lab") if name in page} == names


def test_the_queue_is_not_for_others(group: Group, ada: User) -> None:
    answer = client_of(MembershipFactory.create(group=group, user=ada, deployed=True).user).get("/requests/")
    assert answer.status_code == 403
    assert AuditEvent.objects.filter(action="access.refused", actor=ada.email, target="GET /requests/").exists()


def test_another_group_s_request_is_as_if_it_were_not_there(group: Group, other: Group, manager: User, ada: User) -> None:
    theirs = JoinRequestFactory.create(user=ada, group=other)
    client = client_of(manager)
    for path in (f"/requests/{theirs.pk}/approve/", f"/requests/{theirs.pk}/decline/", "/requests/999/approve/"):
        assert client.post(path).status_code == 404
    assert client.get(theirs.decision_path()).status_code == 404
    theirs.refresh_from_db()
    assert theirs.state == "waiting"
    assert AuditEvent.objects.filter(action="access.refused", actor=manager.email).count() == 4


def test_filters_and_order(group: Group, other: Group, ada: User, grace: User, administrator: User, operator: Actor) -> None:
    decline(JoinRequestFactory.create(user=ada, group=group), actor=operator)
    JoinRequestFactory.create(user=grace, group=other)
    JoinRequestFactory.create(user=ada, group=other)
    ask_to_join(user=grace, actor=actor_of(grace), code=join_code_for(group), is_verified=False)
    client = client_of(administrator)

    def found(query: str) -> list[tuple[str, str]]:
        return [(row.user.email, row.state) for row in client.get(f"/requests/{query}").context["page"].object_list]

    assert found("") == [(ada.email, "waiting"), (grace.email, "waiting"), (ada.email, "declined")]
    assert found("?state=declined") == [(ada.email, "declined")]
    assert found("?group=other-lab&person=GRACE") == [(grace.email, "waiting")]
    assert found("?state=nonsense&page=99") == found("")
    assert "No request fits" in client.get("/requests/?person=nobody").content.decode()


def test_access_and_role_can_be_chosen(group: Group, manager: User, ada: User, operator: Actor) -> None:
    set_allows_keys(group=group, allows=True, actor=operator)
    request = JoinRequestFactory.create(user=ada, group=group)
    client = client_of(manager)
    assert 'value="keys"' in client.get("/requests/").content.decode()
    client.post(f"/requests/{request.pk}/approve/", {"access": "keys", "as_manager": "1"})
    assert Membership.objects.wanted().filter(user=ada, access="keys", is_manager=True).exists()


@pytest.mark.parametrize(
    ("fields", "status"), [({"access": "keys"}, 403), ({"access": "root"}, 302), ({"new_group_slug": "x" * 40}, 302)]
)
def test_what_may_not_be_chosen_changes_nothing(
    group: Group, manager: User, ada: User, fields: dict[str, str], status: int
) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    assert client_of(manager).post(f"/requests/{request.pk}/approve/", fields).status_code == status
    request.refresh_from_db()
    assert request.state == "waiting"


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_the_way_back_stays_on_this_site(group: Group, manager: User, ada: User, wanted: str) -> None:
    answer = client_of(manager).post(
        f"/requests/{JoinRequestFactory.create(user=ada, group=group).pk}/decline/", {"next": wanted, "note": "No."}
    )
    assert answer.headers["Location"] == "/requests/"


def test_a_new_group_is_made_from_the_queue(ada: User, administrator: User) -> None:
    request = JoinRequestFactory.create(user=ada, new_group_name="Noether Lab")
    client = client_of(administrator)
    assert 'value="noether-lab"' in client.get("/requests/").content.decode()
    refused = client.post(f"/requests/{request.pk}/approve/", {"new_group_slug": "Not A Slug"}, follow=True)
    assert "Nothing was changed" in refused.content.decode()
    client.post(f"/requests/{request.pk}/approve/", {"new_group_slug": "noether-lab"})
    assert Group.objects.get().slug == "noether-lab"


def test_the_link_asks_to_sign_in_and_is_used_once(group: Group, manager: User, ada: User) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    path = request.decision_path()
    assert "/accounts/login/" in Client().get(path).headers["Location"]
    client = client_of(manager)
    page = client.get(path)
    assert f'action="/requests/{request.pk}/approve/"' in page.content.decode()
    # Looking decides nothing.
    request.refresh_from_db()
    assert request.state == "waiting"
    approve(request, actor=actor_of(manager))
    after = client.get(path)
    assert after.status_code == 410
    assert "approved already by grace@example.org" in after.content.decode()
    assert "/approve/" not in after.content.decode()


def test_a_forged_link_says_so(group: Group, manager: User, ada: User) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    client = client_of(manager)
    good = request.decision_path().split("/")[-2]
    forged = [
        good[:-1] + ("a" if good[-1] != "a" else "b"),
        "nonsense",
        signing.dumps(request.pk, salt="another"),
        good.split(":")[0],
    ]
    for token in forged:
        answer = client.get(f"/requests/link/{token}/")
        assert answer.status_code == 404
        assert "not one that Cohort sent" in answer.content.decode()


def test_an_expired_link_says_so(group: Group, manager: User, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    path = JoinRequestFactory.create(user=ada, group=group).decision_path()
    client = client_of(manager)
    later = (timezone.now() + timedelta(days=7, minutes=1)).timestamp()
    monkeypatch.setattr(signing, "time", SimpleNamespace(time=lambda: later))
    answer = client.get(path)
    assert answer.status_code == 410
    assert "older than a week" in answer.content.decode()


def test_many_requests_cost_no_more_queries(group: Group, manager: User) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/requests/").status_code == 200
        return len(captured)

    client = client_of(manager)
    for number in range(3):
        JoinRequestFactory.create(user=UserFactory.create(email=f"p{number}@example.org"), group=group)
    few = count()
    code = join_code_for(group)
    for number in range(3, 60):
        user = UserFactory.create(email=f"p{number}@example.org")
        ask_to_join(user=user, actor=actor_of(user), code=code)
    assert count() <= few + 1
    assert len(client.get("/requests/").context["page"].object_list) == 25
    assert JoinRequest.objects.count() == 60

"""A group's page: what members, managers, administrators and strangers see there and can do."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from control_plane.access.groups.models import Group, JoinCode, Membership
from control_plane.access.groups.services.join_codes import find_usable_code
from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from tests.actors import client_of
from tests.factories import (
    AnalysisFactory,
    GrantFactory,
    GroupFactory,
    JoinRequestFactory,
    MembershipFactory,
    UserFactory,
    join_code_for,
)

pytestmark = pytest.mark.django_db
PAGE = "/groups/example-lab/"


@pytest.fixture
def manager(group: Group, grace: User) -> User:
    return MembershipFactory.create(group=group, user=grace, manager=True, deployed=True).user


def membership(user: User) -> Membership:
    found: Membership = Membership.objects.wanted().get(user=user)
    return found


def test_it_works(group: Group, manager: User, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    analysis = AnalysisFactory.create(slug="ephys", bucket="cohort-ephys", name="Ephys")
    GrantFactory.create(group=group, analysis=analysis, deployed=True)
    JoinRequestFactory.create(user=UserFactory.create(email="lise@example.org"), group=group)
    page = client_of(manager).get(PAGE).content.decode()
    for text in ("ada@example.org", "lise@example.org", "Make manager", "Make a join code", "Rotate", "Ephys", "Leave this group"):
        assert text in page
    page = client_of(ada).get(PAGE).content.decode()
    for text in ("lise@example.org", "Make manager", "join code", "Remove…"):
        assert text not in page
    assert "Leave this group" in page


def test_strangers_learn_nothing(group: Group, manager: User, ada: User) -> None:
    join_code_for(group)
    client, pk = client_of(ada), membership(manager).pk
    gets = [PAGE, f"{PAGE}leave/", f"{PAGE}members/{pk}/remove/", f"{PAGE}members/{pk}/", "/groups/nowhere/"]
    posts = [
        f"{PAGE}leave/",
        f"{PAGE}codes/",
        f"{PAGE}codes/{JoinCode.objects.get().pk}/rotate/",
        f"{PAGE}codes/{JoinCode.objects.get().pk}/withdraw/",
        f"{PAGE}members/{pk}/remove/",
        f"{PAGE}members/{pk}/manager/",
        f"{PAGE}members/{pk}/end/",
        f"{PAGE}members/{pk}/move/",
        f"{PAGE}members/{pk}/access/",
        f"{PAGE}keys-allowed/",
    ]
    assert {client.get(path).status_code for path in gets} == {404}
    assert {client.post(path).status_code for path in posts} == {404}
    assert AuditEvent.objects.filter(action="access.refused", actor=ada.email).count() == len(gets) + len(posts)
    assert Membership.objects.wanted().count() == JoinCode.objects.filter(withdrawn_at=None).count() == 1


def test_members_do_not_manage(group: Group, manager: User, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    join_code_for(group)
    client, pk, code = client_of(ada), membership(manager).pk, JoinCode.objects.get().pk
    for path in ("codes/", f"codes/{code}/rotate/", f"codes/{code}/withdraw/", f"members/{pk}/remove/", f"members/{pk}/manager/"):
        assert client.post(f"{PAGE}{path}").status_code == 403
    assert client.post(f"{PAGE}keys-allowed/", {"allows": "1"}).status_code == 403
    assert Membership.objects.wanted().count() == 2


def test_a_code_is_shown_once(group: Group, manager: User) -> None:
    client = client_of(manager)
    answer = client.post(f"{PAGE}codes/", {"days": "7", "most_uses": "3"})
    assert "no-store" in answer.headers["Cache-Control"]
    code = re.search(r"(?:[A-Z2-7]{4}-){5}[A-Z2-7]{4}", answer.content.decode())
    assert code
    row = find_usable_code(code[0])
    assert (row.group, row.most_uses) == (group, 3)
    page = client.get(PAGE).content.decode()
    assert code[0] not in page
    assert f"{code[0][:4]}-…" in page
    rotated = client.post(f"{PAGE}codes/{row.pk}/rotate/").content.decode()
    assert code[0] not in rotated
    assert "✓ works" in client.get(PAGE).content.decode()
    client.post(f"{PAGE}codes/{JoinCode.objects.get(withdrawn_at=None).pk}/withdraw/")
    assert "✓ works" not in client.get(PAGE).content.decode()


@pytest.mark.parametrize("terms", [{}, {"days": "0"}, {"days": "366"}, {"days": "soon"}, {"days": "7", "most_uses": "-1"}])
def test_a_code_with_senseless_terms_is_not_made(group: Group, manager: User, terms: dict[str, str]) -> None:
    answer = client_of(manager).post(f"{PAGE}codes/", terms, follow=True)
    assert "Nothing was made." in answer.content.decode()
    assert not JoinCode.objects.exists()


def test_a_member_is_removed_after_a_confirmation(group: Group, manager: User, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    path = f"{PAGE}members/{membership(ada).pk}/remove/"
    client = client_of(manager)
    assert "Remove ada@example.org from Example Lab?" in client.get(path).content.decode()
    assert membership(ada)
    assert "has started" in client.post(path, follow=True).content.decode()
    assert not Membership.objects.wanted().filter(user=ada).exists()
    assert client.post(path).status_code == 404


def test_the_last_manager_is_not_removed_by_a_manager(group: Group, manager: User) -> None:
    pk = membership(manager).pk
    for path, fields in ((f"{PAGE}members/{pk}/remove/", {}), (f"{PAGE}members/{pk}/manager/", {"is_manager": "0"})):
        answer = client_of(manager).post(path, fields, follow=True)
        assert "would have no manager" in answer.content.decode()
    assert membership(manager).is_manager


def test_managers_are_made_and_unmade(group: Group, manager: User, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    path = f"{PAGE}members/{membership(ada).pk}/manager/"
    for wanted in ("1", "0"):
        client_of(manager).post(path, {"is_manager": wanted})
        assert membership(ada).is_manager == (wanted == "1")


def test_another_group_s_member_cannot_be_named(group: Group, manager: User, ada: User) -> None:
    other = GroupFactory.create(slug="other-lab")
    MembershipFactory.create(group=other, user=ada, deployed=True)
    join_code_for(other)
    client = client_of(manager)
    for path in (f"members/{membership(ada).pk}/remove/", f"codes/{JoinCode.objects.get().pk}/rotate/"):
        assert client.post(f"{PAGE}{path}").status_code == 404
        assert client.post(f"/groups/other-lab/{path}").status_code == 404
    assert membership(ada)


def test_leaving_says_what_happens_first(group: Group, manager: User, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    client = client_of(ada)
    assert "last manager" not in client.get(f"{PAGE}leave/").content.decode()
    assert "last manager" in client_of(manager).get(f"{PAGE}leave/").content.decode()
    answer = client.post(f"{PAGE}leave/", follow=True).content.decode()
    assert "You are leaving Example Lab" in answer
    assert "being removed" in answer
    assert client.get(PAGE).status_code == 404


def test_an_administrator_says_whether_keys_are_allowed(group: Group, administrator: User, manager: User) -> None:
    client = client_of(administrator)
    assert "Allow keys" in client.get(PAGE).content.decode()
    client.post(f"{PAGE}keys-allowed/", {"allows": "1"})
    group.refresh_from_db()
    assert group.allows_keys
    assert "Allow keys" not in client_of(manager).get(PAGE).content.decode()


def test_a_key_shows_its_age_and_can_be_replaced(group: Group, manager: User, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    page = client_of(manager).get(PAGE).content.decode()
    assert 'data-label="Access method"><div>access key' in page
    path = f"{PAGE}credentials/key/rotate/{membership(ada).username}/"
    assert f'action="{path}"' in page
    client_of(manager).post(path)
    assert membership(ada).key_serial == 2


def test_many_members_codes_and_requests_cost_no_more_queries(group: Group, manager: User) -> None:
    def add(first: int, last: int) -> None:
        for number in range(first, last):
            MembershipFactory.create(group=group, user=UserFactory.create(email=f"m{number}@example.org"), deployed=True)
            JoinRequestFactory.create(user=UserFactory.create(email=f"p{number}@example.org"), group=group)

    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(PAGE).status_code == 200
        return len(captured)

    client = client_of(manager)
    add(0, 2)
    few = count()
    add(2, 18)
    assert count() <= few

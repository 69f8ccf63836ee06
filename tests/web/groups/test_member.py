"""A member's own page in a group, for who decides about them."""

import pytest

from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.services.groups import set_allows_keys
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from tests.actors import client_of
from tests.factories import GroupFactory, MembershipFactory, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(group: Group, grace: User) -> User:
    return MembershipFactory.create(group=group, user=grace, manager=True, deployed=True).user


@pytest.fixture
def member(group: Group, manager: User, ada: User) -> Membership:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    found: Membership = Membership.objects.get(user=ada)
    return found


def page_of(membership: Membership) -> str:
    return f"/groups/example-lab/members/{membership.pk}/"


def test_a_last_day_is_set_shown_and_taken_back(manager: User, member: Membership) -> None:
    client = client_of(manager)
    page = client.post(f"{page_of(member)}end/", {"ends_on": "2031-06-30"}, follow=True).content.decode()
    assert "ends after 30 June 2031" in page
    assert 'value="2031-06-30"' in page
    assert "until" in client.get("/groups/example-lab/").content.decode()
    page = client.post(f"{page_of(member)}end/", {"ends_on": ""}, follow=True).content.decode()
    assert "does not end by itself" in page
    member.refresh_from_db()
    assert member.ends_at is None


@pytest.mark.parametrize("day", ["2020-01-01", "tomorrow", "9999-12-31", "2031-02-30"])
def test_a_day_that_makes_no_sense_changes_nothing(day: str, manager: User, member: Membership) -> None:
    page = client_of(manager).post(f"{page_of(member)}end/", {"ends_on": day}, follow=True).content.decode()
    assert "Nothing was changed" in page
    member.refresh_from_db()
    assert member.ends_at is None


def test_a_member_is_moved_to_another_group_that_the_manager_manages(manager: User, member: Membership, ada: User) -> None:
    other = GroupFactory.create(slug="other-lab", name="Other Lab")
    GroupFactory.create(slug="foreign-lab", name="Foreign Lab")
    MembershipFactory.create(group=other, user=manager, manager=True, deployed=True)
    client = client_of(manager)
    page = client.get(page_of(member)).content.decode()
    assert "Other Lab" in page
    assert "Foreign Lab" not in page
    page = client.post(f"{page_of(member)}move/", {"to": "foreign-lab"}, follow=True).content.decode()
    assert "Nothing was changed" in page
    page = client.post(f"{page_of(member)}move/", {"to": "other-lab"}, follow=True).content.decode()
    assert "is being added to Other Lab" in page
    assert Membership.objects.wanted().filter(user=ada).count() == 2
    assert "On the way to another group" in client.get(page_of(member)).content.decode()


def test_a_member_who_manages_nothing_may_not_look(member: Membership, ada: User) -> None:
    assert client_of(ada).get(page_of(member)).status_code == 403


def test_its_queries_do_not_grow_with_the_groups(
    manager: User, member: Membership, administrator: User, django_assert_max_num_queries: object
) -> None:
    for number in range(20):
        GroupFactory.create(slug=f"lab-{number}", name=f"Lab {number}")
    client = client_of(administrator)
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        client.get(page_of(member))


def test_a_key_is_given_where_that_is_allowed_and_taken_away(
    manager: User, member: Membership, group: Group, operator: Actor
) -> None:
    client = client_of(manager)
    assert client.post(f"{page_of(member)}access/", {"access": "keys"}).status_code == 403
    set_allows_keys(group=group, allows=True, actor=operator)
    page = client.post(f"{page_of(member)}access/", {"access": "keys"}, follow=True).content.decode()
    assert "is being made an access key" in page
    member.refresh_from_db()
    assert (member.access, member.key_generation) == ("keys", group.stack.generation + 1)
    settle(group.stack)
    page = client.post(f"{page_of(member)}access/", {"access": "keys"}, follow=True).content.decode()
    assert "already. Nothing was changed" in page
    page = client.post(f"{page_of(member)}access/", {"access": "federated"}, follow=True).content.decode()
    assert "the key is being removed" in page
    member.refresh_from_db()
    assert member.access == "federated"
    assert AuditEvent.objects.filter(action="member.access").count() == 2

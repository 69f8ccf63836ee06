"""Pages about access keys: the member's own, the managers' of a group, and the administration's list."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.keys import OldKey, end_overlap, rotate_key
from control_plane.access.groups.services.members import add_members
from control_plane.access.keys.models import KeyCheck, KeyUse
from control_plane.accounts.models import User
from tests.actors import OPERATOR, client_of
from tests.factories import MembershipFactory, UserFactory, settle

pytestmark = pytest.mark.django_db

KEYS = "/groups/example-lab/keys/"
OWN = "/groups/example-lab/credentials/"
MAX_QUERIES = 14


@pytest.fixture
def manager(group: Group) -> User:
    return MembershipFactory.create(
        group=group, user=UserFactory.create(email="manager@example.org"), manager=True, deployed=True
    ).user


@pytest.fixture
def holder(group: Group, ada: User) -> User:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    return ada


def membership(user: User) -> Membership:
    found: Membership = Membership.objects.wanted().get(user=user)
    return found


def said_of(user: User, *, days: float | None, serial: int = 1, made: float = 200) -> KeyUse:
    """What IAM said of a member's key: when it was last used, and made."""
    now = timezone.now()
    return KeyUse.objects.create(
        membership=membership(user),
        serial=serial,
        access_key_id=f"AKIA{user.pk:012d}{serial:04d}",
        is_active=True,
        made_at=now - timedelta(days=made),
        last_used_at=None if days is None else now - timedelta(days=days),
        last_service="" if days is None else "s3",
        checked_at=now,
    )


def text(client: Client, path: str, **data: Any) -> str:
    answer = client.post(path, data, follow=True) if data else client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_member_chooses_how_long_the_old_key_works_and_ends_it(group: Group, holder: User) -> None:
    client = client_of(holder)
    said_of(holder, days=3)
    page = text(client, OWN)
    assert "for s3" in page
    assert "14 days" in page
    assert "works for another 3 days" in text(client, f"{OWN}key/rotate/", overlap="3")
    assert "Your old key works meanwhile" in text(client, OWN)
    settle(group.stack)
    page = text(client, OWN)
    assert "✓ old key works" in page
    assert "Replace my key" not in page
    assert "made inactive" in text(client, f"{OWN}key/old/", wish="stop")
    assert "⊘ old key inactive" in text(client, OWN)
    assert "brought back" in text(client, f"{OWN}key/old/", wish="bring-back", overlap="1")
    assert "being removed" in text(client, f"{OWN}key/old/", wish="remove")
    assert membership(holder).previous_key == ""
    settle(group.stack)
    assert "ends with that" in text(client, f"{OWN}key/rotate/", overlap="0")


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("key/rotate/", {"overlap": "-1"}),
        ("key/rotate/", {"overlap": "5"}),
        ("key/rotate/", {"overlap": "many"}),
        ("key/old/", {"wish": "explode"}),
        ("key/old/", {"overlap": "3"}),
        ("key/old/", {"wish": "bring-back", "overlap": "0"}),
    ],
)
def test_choices_that_the_page_does_not_offer_change_nothing(
    path: str, data: dict[str, str], group: Group, holder: User, manager: User
) -> None:
    rotate_key(group=group, user=holder, actor=OPERATOR)
    settle(group.stack)
    end_overlap(group=group, user=holder, actor=OPERATOR, wish=OldKey.STOP)
    generation = group.stack.generation
    assert "Nothing was changed" in text(client_of(holder), f"{OWN}{path}", **data)
    name = "old" if "old" in path else "rotate"
    by_manager = f"/groups/example-lab/members/{membership(holder).pk}/key/{name}/"
    assert "Nothing was changed" in text(client_of(manager), by_manager, **data)
    group.stack.refresh_from_db()
    assert group.stack.generation == generation


def test_managers_see_ages_last_use_and_old_keys_and_other_members_do_not(
    group: Group, holder: User, manager: User, grace: User, administrator: User
) -> None:
    said_of(holder, days=100)
    rotate_key(group=group, user=holder, actor=OPERATOR)
    settle(group.stack)
    said_of(holder, days=None, serial=2, made=0)
    for user in (manager, administrator):
        page = text(client_of(user), KEYS)
        assert "AKIA" in page
        assert "✓ old key works" in page
        assert "never" in page
    assert "1 unused for 90 days" in text(client_of(manager), "/groups/example-lab/")
    MembershipFactory.create(group=group, user=grace, deployed=True)
    assert client_of(grace).get(KEYS).status_code == 403
    assert "Ages, use and rotation" not in text(client_of(grace), "/groups/example-lab/")
    assert client_of(User.objects.create_user("stranger@example.org")).get(KEYS).status_code == 404


def test_a_key_that_nobody_uses_is_marked_by_a_word(group: Group, holder: User, manager: User) -> None:
    said_of(holder, days=91)
    page = text(client_of(manager), KEYS)
    assert "! unused" in page
    assert "Unused for 90 days" in page
    KeyUse.objects.update(last_used_at=timezone.now())
    page = text(client_of(manager), KEYS)
    assert "! unused" not in page
    assert "Unused for" not in page


def test_a_manager_replaces_one_key_and_all(group: Group, holder: User, manager: User) -> None:
    client, pk = client_of(manager), membership(holder).pk
    assert "A new key for ada@example.org" in text(client, f"/groups/example-lab/members/{pk}/key/rotate/", overlap="0")
    settle(group.stack)
    assert "1 new key is being made" in text(client, f"{KEYS}rotate/", overlap="7")
    assert (membership(holder).key_serial, membership(holder).previous_key) == (3, "active")
    assert "No key was replaced" in text(client, f"{KEYS}rotate/", overlap="7")
    settle(group.stack)
    assert "old key is being removed" in text(client, f"/groups/example-lab/members/{pk}/key/old/", wish="remove")


def test_all_old_keys_of_a_group_are_removed_at_once(group: Group, holder: User, manager: User) -> None:
    client = client_of(manager)
    rotate_key(group=group, user=holder, actor=OPERATOR)
    settle(group.stack)
    assert "Remove the old key now" in text(client, KEYS)
    client.post(f"{KEYS}remove-old/")
    assert membership(holder).previous_key == ""
    assert "There is no old key" in client.post(f"{KEYS}remove-old/", follow=True).content.decode()


def test_what_aws_did_not_answer_is_said(group: Group, holder: User, manager: User) -> None:
    KeyCheck.objects.create(group=group, asked_at=timezone.now(), error="AWS does not answer: secret detail")
    page = text(client_of(manager), KEYS)
    assert "✗ failed" in page
    assert "secret detail" not in page


def test_a_group_without_keys_says_so(manager: User) -> None:
    assert "Nobody in this group holds an access key" in text(client_of(manager), KEYS)
    assert "Keys of members" not in text(client_of(manager), "/groups/example-lab/")


@pytest.fixture
def many(group: Group, manager: User) -> list[User]:
    users = [UserFactory.create(email=f"p{number:03}@example.org") for number in range(70)]
    add_members(group=group, users=users, access=Access.KEYS, actor=OPERATOR)
    settle(group.stack)
    for user in users:
        said_of(user, days=100)
    return users


def test_many_keys_are_paged_and_cost_no_more_queries(many: list[User], manager: User, administrator: User) -> None:
    for client, path in ((client_of(manager), KEYS), (client_of(administrator), "/admin/keys/keyuse/?use=unused")):
        client.get(path)
        with CaptureQueriesContext(connection) as captured:
            page = text(client, path)
        assert len(captured) <= MAX_QUERIES, [query["sql"] for query in captured]
        assert 45 <= page.count("<tr") <= 55
    assert many[60].email in text(client_of(manager), f"{KEYS}?page=2")


def test_the_administration_lists_the_keys_of_all_groups(group: Group, holder: User, manager: User, administrator: User) -> None:
    said_of(holder, days=None)
    client = client_of(administrator)
    for query, is_listed in (
        ("", True),
        ("?use=unused", True),
        ("?use=never", True),
        ("?q=ada", True),
        ("?is_active__exact=0", False),
    ):
        assert (KeyUse.objects.get().access_key_id in text(client, f"/admin/keys/keyuse/{query}")) == is_listed
    assert "active, unused" in text(client, "/admin/keys/keyuse/")
    assert client.get("/admin/keys/keyuse/add/").status_code == 403
    assert client_of(manager).get("/admin/keys/keyuse/").status_code == 403

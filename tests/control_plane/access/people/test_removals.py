"""Removing people: their access in every group goes first, then what lets them in, and the account last."""

import json
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from allauth.idp.oidc.models import Client as IdpClient
from allauth.idp.oidc.models import Token
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.test import Client

from control_plane.access.groups.models import Access, Group, JoinRequest, Membership
from control_plane.access.groups.services.members import add_members, end_memberships
from control_plane.access.people.departures import erase_departed
from control_plane.access.people.removals import (
    AlreadyErased,
    RemovesSelf,
    activate,
    preview_removal,
    remove_inactive_access,
    remove_people,
)
from control_plane.accounts.models import User
from control_plane.accounts.services.deletion import LastAdministrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.models import Deployment
from control_plane.worker import sweep
from tests.control_plane.account_pages import is_signed_in, sign_in, signed_in, text_of
from tests.factories import PASSWORD, GroupFactory, PasswordUserFactory, UserFactory, settle

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]

PEOPLE = "/admin/accounts/user/"


@pytest.fixture
def other() -> Group:
    return GroupFactory.create(slug="other-lab", name="Other Lab")


def join(group: Group, *users: User, access: Access = Access.KEYS, **more: bool) -> None:
    add_members(group=group, users=users, access=access, actor=Actor.system("test"), **more)
    settle(group.stack)


def token_of(user: User) -> Token:
    client, _ = IdpClient.objects.get_or_create(id="cli", defaults={"name": "cli"})
    return Token.objects.create(client=client, user=user, type=Token.Type.REFRESH_TOKEN, hash=f"hash {user.pk}")


def ask(client: Client, users: list[User], **form: str):
    ids = "&".join(f"id={user.pk}" for user in users)
    return client.post(f"{PEOPLE}leave/?{ids}", {"account": "keep", **form})


def test_everything_goes_and_the_account_last(group: Group, other: Group, operator: Actor) -> None:
    ada = PasswordUserFactory.create(name="Ada Lovelace")
    join(group, ada)
    join(other, ada, access=Access.FEDERATED)
    JoinRequest.objects.create(user=ada, requested_name="Mine", state=JoinRequest.State.WAITING)
    token_of(ada)
    browser = signed_in()
    deployments = remove_people(users=[ada], delete=True, actor=operator)
    assert {deployment.stack_id for deployment in deployments} == {group.stack_id, other.stack_id}
    assert not Membership.objects.wanted().filter(user=ada).exists()
    assert JoinRequest.objects.get().state == JoinRequest.State.WITHDRAWN
    assert not Token.objects.exists()
    assert not is_signed_in(browser)
    assert "not active" in text_of(sign_in(Client(), follow=True))
    settle(group.stack)
    assert erase_departed() == 0, "one group still gives access"
    settle(other.stack)
    sweep.sweep()
    ada.refresh_from_db()
    assert (ada.name, ada.email) == ("", f"deleted-{ada.pk}@deleted.invalid")
    assert Membership.objects.filter(user=ada).count() == 2, "nothing belongs to nobody"


def test_who_is_deactivated_keeps_name_and_address(group: Group, operator: Actor) -> None:
    ada = PasswordUserFactory.create(name="Ada Lovelace")
    join(group, ada)
    remove_people(users=[ada], actor=operator)
    settle(group.stack)
    sweep.sweep()
    ada.refresh_from_db()
    assert (ada.name, ada.email, ada.is_active) == ("Ada Lovelace", "ada@example.org", False)
    assert AuditEvent.objects.filter(action="person.deactivate", target="ada@example.org").exists()


def test_many_are_one_deployment_for_each_group(group: Group, other: Group, operator: Actor, django_assert_max_num_queries) -> None:
    people = UserFactory.create_batch(40)
    join(group, *people)
    join(other, *people[:20])
    with django_assert_max_num_queries(12):
        assert len(preview_removal(people)) == 40
    before = Deployment.objects.count()
    assert len(remove_people(users=people, actor=operator)) == 2
    assert Deployment.objects.count() == before + 2
    assert not Membership.objects.wanted().exists()


def test_the_page_s_forecast_says_what_goes(group: Group, ada: User, grace: User) -> None:
    join(group, ada, as_managers=True)
    token_of(ada)
    [loss, nothing] = preview_removal([ada, grace])
    assert ([membership.group for membership in loss.memberships], loss.computers, loss.unmanaged) == ([group], 1, (group,))
    assert (nothing.memberships, nothing.unmanaged) == ((), ())
    join(group, grace, as_managers=True)
    assert [loss.unmanaged for loss in preview_removal([ada])] == [()]
    assert [loss.unmanaged for loss in preview_removal([ada, grace])] == [(group,), (group,)]


def test_the_last_administrator_stays(administrator: User, ada: User, group: Group, operator: Actor) -> None:
    join(group, ada)
    with pytest.raises(LastAdministrator):
        remove_people(users=[ada, administrator], actor=operator)
    ada.refresh_from_db()
    assert ada.is_active
    assert Membership.objects.wanted().filter(user=ada).exists()
    second = UserFactory.create(email="second@example.org", password=PASSWORD, administrator=True)
    remove_people(users=[second], actor=operator)
    with pytest.raises(LastAdministrator):
        remove_people(users=[administrator], delete=True, actor=operator)


def test_nobody_removes_themself_by_the_way_and_only_administrators_remove(administrator: User, ada: User) -> None:
    UserFactory.create(email="second@example.org", password=PASSWORD, administrator=True)
    with pytest.raises(RemovesSelf):
        remove_people(users=[administrator], actor=Actor("admin@example.org", "web", administrator))
    for deed in (remove_people, activate):
        with pytest.raises(PermissionDenied):
            deed(users=[ada], actor=Actor("ada@example.org", "web", ada))


def test_activating_gives_no_access_back_and_cancels_a_deletion(group: Group, ada: User, operator: Actor) -> None:
    join(group, ada)
    remove_people(users=[ada], delete=True, actor=operator)
    assert activate(users=[ada], actor=operator) == [ada]
    assert activate(users=[ada], actor=operator) == []
    settle(group.stack)
    assert erase_departed() == 0
    assert not Membership.objects.wanted().filter(user=ada).exists()
    assert sign_in(Client()).status_code == 200, "without a password there is no sign-in yet"


def test_the_erased_are_nobody_again(ada: User, operator: Actor) -> None:
    remove_people(users=[ada], delete=True, actor=operator)
    assert erase_departed() == 1
    for deed in (remove_people, activate):
        with pytest.raises(AlreadyErased):
            deed(users=[ada], actor=operator)


def test_what_is_left_of_inactive_people_is_swept_away(group: Group, ada: User, grace: User) -> None:
    """As after a race, or after somebody changed the row by hand."""
    join(group, ada, grace)
    JoinRequest.objects.create(user=ada, requested_name="Mine", state=JoinRequest.State.WAITING)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert remove_inactive_access() == 1
    assert remove_inactive_access() == 0
    assert [membership.user for membership in Membership.objects.wanted()] == [grace]
    assert not JoinRequest.objects.filter(state=JoinRequest.State.WAITING).exists()


def test_one_group_that_cannot_be_changed_does_not_stop_the_others(
    group: Group, other: Group, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from control_plane.access.people import removals
    from control_plane.base.errors import LimitReached

    join(group, ada)
    join(other, ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)

    def refusing(which: Group, users: Sequence[User], actor: Actor) -> Deployment:
        if which == group:
            raise LimitReached("No.")
        return end_memberships(which, users, actor)

    monkeypatch.setattr(removals, "end_memberships", refusing)
    assert remove_inactive_access() == 1
    assert [membership.group for membership in Membership.objects.wanted()] == [group]


class TestPages:
    def test_the_page_says_what_goes_first(
        self, administrator: User, group: Group, other: Group, ada: User, django_assert_max_num_queries
    ) -> None:
        join(group, ada)
        join(other, ada)
        client = signed_in(administrator.email)
        with django_assert_max_num_queries(20):
            page = text_of(client.get(f"{PEOPLE}leave/?id={ada.pk}"))
        for words in ("ada@example.org", "example-lab (keys)", "other-lab", "What they uploaded stays"):
            assert words in page

    def test_it_works_from_the_list(self, administrator: User, group: Group, ada: User) -> None:
        join(group, ada)
        client = signed_in(administrator.email)
        answer = client.post(PEOPLE, {"action": "remove_everywhere", "_selected_action": [ada.pk]})
        assert answer["location"] == f"{PEOPLE}leave/?id={ada.pk}"
        assert ask(client, [ada]).status_code == 302
        told = text_of(client.get(PEOPLE))
        assert "ada@example.org cannot sign in any more" in told
        assert f"deployment {Deployment.objects.latest('pk').pk}" in told
        client.post(PEOPLE, {"action": "activate", "_selected_action": [ada.pk]})
        assert "Access is not given back by itself" in text_of(client.get(PEOPLE))

    @pytest.mark.parametrize(
        ("count", "form"),
        [
            (1, {"account": "delete"}),
            (1, {"account": "delete", "typed": "somebody@example.org"}),
            (2, {}),
            (2, {"typed": "3 people"}),
            (1, {"account": "nonsense"}),
        ],
    )
    def test_what_is_not_confirmed_is_not_done(
        self, administrator: User, group: Group, ada: User, grace: User, count: int, form: dict[str, str]
    ) -> None:
        join(group, ada, grace)
        answer = ask(signed_in(administrator.email), [ada, grace][:count], **form)
        assert answer.status_code == 422
        assert Membership.objects.wanted().count() == 2

    @pytest.mark.parametrize(("count", "typed"), [(1, " Ada@example.org"), (2, "2 people")])
    def test_what_is_confirmed_is_done(
        self, administrator: User, group: Group, ada: User, grace: User, count: int, typed: str
    ) -> None:
        join(group, ada, grace)
        assert ask(signed_in(administrator.email), [ada, grace][:count], account="delete", typed=typed).status_code == 302
        assert User.objects.filter(deletion_requested_at__isnull=False).count() == count

    def test_others_may_not(self, ada: User, grace: User) -> None:
        staff = UserFactory.create(email="staff@example.org", password=PASSWORD, is_staff=True)
        ask(signed_in(staff.email), [ada])
        ada.refresh_from_db()
        assert ada.is_active

    def save(self, client: Client, person: User, **form: str):
        data = {"email": person.email, "name": person.name, "requested_group": "", "requested_group_code": "", **form}
        return client.post(f"{PEOPLE}{person.pk}/change/", data)

    def test_the_active_box_does_the_same(self, administrator: User, group: Group, ada: User) -> None:
        join(group, ada)
        client = signed_in(administrator.email)
        assert "lose all access in every group" in text_of(client.get(f"{PEOPLE}{ada.pk}/change/"))
        assert self.save(client, ada, name="Ada L").status_code == 302
        ada.refresh_from_db()
        assert (ada.is_active, ada.name) == (False, "Ada L")
        assert not Membership.objects.wanted().exists()
        assert AuditEvent.objects.filter(action="person.deactivate").exists()
        assert self.save(client, ada, is_active="on").status_code == 302
        ada.refresh_from_db()
        assert ada.is_active
        assert AuditEvent.objects.filter(action="person.activate").exists()

    @pytest.mark.parametrize("form", [{}, {"is_active": "on", "is_staff": "on"}, {"is_active": "on", "is_superuser": "on"}])
    def test_the_last_administrator_s_form_is_refused(self, administrator: User, form: dict[str, str]) -> None:
        client = signed_in(administrator.email)
        self.save(client, administrator, name="Renamed", **form)
        administrator.refresh_from_db()
        assert (administrator.is_active, administrator.is_staff, administrator.is_superuser) == (True, True, True)
        assert administrator.name == ""
        assert "Nothing was changed" in text_of(client.get(PEOPLE))


class TestCommand:
    def run(self, *arguments: str) -> Any:
        out = StringIO()
        call_command("person", *arguments, "--json", stdout=out)
        return json.loads(out.getvalue())

    def test_it_works(self, group: Group, ada: User, grace: User, operator: Actor) -> None:
        join(group, ada, grace)
        foreseen = self.run("foresee", ada.email)
        assert foreseen["people"][0]["groups"] == [{"group": "example-lab", "access": "keys", "is_manager": False}]
        assert User.objects.get(pk=ada.pk).is_active
        done = self.run("remove", ada.email, grace.email, "--delete")
        assert [deployment["stack"] for deployment in done["deployments"]] == ["Group-example-lab"]
        assert User.objects.filter(deletion_requested_at__isnull=False).count() == 2
        assert self.run("activate", ada.email) == {"activated": [ada.email]}
        self.run("deactivate", ada.email)
        ada.refresh_from_db()
        assert (ada.is_active, ada.deletion_requested_at) == (False, None)

    def test_who_is_unknown_stops_it_all(self, group: Group, ada: User) -> None:
        with pytest.raises(CommandError, match="Nobody is known"):
            self.run("remove", ada.email, "nobody@example.org")
        assert User.objects.get(pk=ada.pk).is_active


def test_a_move_that_is_under_way_leaves_neither_group(group: Group, other: Group, ada: User, operator: Actor) -> None:
    from control_plane.access.groups.services.transfers import finish_transfers, move_member

    join(group, ada)
    settle(other.stack)
    move_member(source=group, target=other, user=ada, actor=operator)
    assert len(remove_people(users=[ada], actor=operator)) == 2
    settle(group.stack)
    settle(other.stack)
    finish_transfers()
    assert not Membership.objects.not_ended().filter(user=ada).exists()

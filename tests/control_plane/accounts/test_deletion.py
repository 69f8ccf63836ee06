"""Deleting one's own account: access on AWS goes first, then what tells who it was."""

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.test import Client

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.members import add_member
from control_plane.access.people.departures import erase_departed
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.models import Deployment
from control_plane.worker import sweep
from tests.control_plane.account_pages import deeds, delivered, is_signed_in, sign_in, signed_in, text_of
from tests.factories import PASSWORD, AuthenticatorFactory, MembershipFactory, PasswordUserFactory, UserFactory, settle

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]


def delete(client: Client, typed: str = "ada@example.org"):
    return client.post("/accounts/delete/", {"typed_email": typed}, follow=True)


def joined(group: Group, operator: Actor) -> User:
    ada = PasswordUserFactory.create(name="Ada Lovelace")
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    return ada


def test_the_page_says_what_will_happen(group: Group, operator: Actor) -> None:
    joined(group, operator)
    page = text_of(signed_in().get("/accounts/delete/"))
    for words in ("signed out everywhere", "Example Lab", "What you uploaded stays", "cannot be undone", "ada@example.org"):
        assert words in page


def test_access_goes_first_and_the_rest_once_aws_has_let_go(group: Group, operator: Actor) -> None:
    ada = joined(group, operator)
    here, there = signed_in(), signed_in()
    answer = delete(here)
    assert "Your access to 1 group is being removed" in text_of(answer)
    assert not is_signed_in(here)
    assert not is_signed_in(there)
    assert "not active" in text_of(sign_in(Client(), follow=True))
    ada.refresh_from_db()
    assert (ada.email, ada.name, ada.is_active) == ("ada@example.org", "Ada Lovelace", False)
    assert Membership.objects.get(user=ada).removed_generation == 3

    assert erase_departed() == 0, "AWS still gives access"
    Deployment.objects.open().update(state=Deployment.State.FAILED, failure="permanent")
    assert erase_departed() == 0, "a failure forgets nothing"
    settle(group.stack)
    assert erase_departed() == 1
    assert erase_departed() == 0
    ada.refresh_from_db()
    assert (ada.email, ada.name, ada.is_active) == (f"deleted-{ada.pk}@deleted.invalid", "", False)
    assert not ada.has_usable_password()
    assert Membership.objects.get(user=ada).group == group, "that somebody was in the group stays"
    assert delivered()[-1].to == ["ada@example.org"]
    assert delivered()[-1].subject == "Your account is deleted"


def test_everything_of_the_person_is_erased_and_the_trail_keeps_the_label(group: Group, operator: Actor) -> None:
    ada = joined(group, operator)
    SocialAccount.objects.create(user=ada, provider="orcid", uid="0000", extra_data={"name": "Ada"})
    client = signed_in()
    AuthenticatorFactory.create(user=ada, passkey=True)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    delete(client)
    settle(group.stack)
    sweep.sweep()
    for model in (EmailAddress, SocialAccount, Authenticator, UserSession):
        assert not model.objects.filter(user=ada).exists(), model
    assert {"account.deletion_asked", "account.erased", "account.sessions_ended"} <= set(deeds())
    assert set(AuditEvent.objects.filter(actor_user=ada).values_list("actor", flat=True)) == {"ada@example.org"}
    assert AuditEvent.objects.get(action="account.erased").actor == "system:accounts"


def test_the_address_is_free_for_a_new_account_afterwards() -> None:
    PasswordUserFactory.create()
    delete(signed_in())
    assert User.objects.get().email.endswith("@deleted.invalid")
    again = PasswordUserFactory.create()
    assert sign_in(Client()).status_code == 302
    assert again.memberships.count() == 0


def test_somebody_in_no_group_is_erased_at_once() -> None:
    PasswordUserFactory.create()
    assert "You were in no group" in text_of(delete(signed_in()))
    assert User.objects.get().erased_at


@pytest.mark.parametrize("typed", ["", "ada", "grace@example.org", "ada@example.org.evil.example"])
def test_a_wrong_address_deletes_nothing(typed: str) -> None:
    PasswordUserFactory.create()
    client = signed_in()
    assert delete(client, typed).status_code == 422
    assert User.objects.get().is_active
    assert is_signed_in(client)


def test_the_password_is_asked_for_again() -> None:
    PasswordUserFactory.create()
    client = Client()
    sign_in(client)
    answer = client.post("/accounts/delete/", {"typed_email": "ada@example.org"})
    assert answer["location"].startswith("/accounts/reauthenticate/")
    assert User.objects.get().is_active


def test_the_only_administrator_stays(administrator: User) -> None:
    UserFactory.create(email="gone@example.org", password=PASSWORD, is_active=False, administrator=True)
    answer = delete(signed_in("admin@example.org"), "admin@example.org")
    assert "only administrator" in text_of(answer)
    assert User.objects.get(email="admin@example.org").is_active


def test_one_of_two_administrators_may_go_the_other_not(administrator: User) -> None:
    UserFactory.create(email="second@example.org", password=PASSWORD, administrator=True)
    first, second = signed_in("admin@example.org"), signed_in("second@example.org")
    assert "account is closed" in text_of(delete(first, "admin@example.org"))
    assert "only administrator" in text_of(delete(second, "second@example.org"))


def test_an_administrator_who_activates_the_account_again_cancels_it(administrator: User, group: Group, operator: Actor) -> None:
    ada = joined(group, operator)
    delete(signed_in())
    admin = Client()
    admin.force_login(administrator)
    assert admin.post(f"/admin/accounts/user/{ada.pk}/change/", {"email": ada.email, "is_active": "on"}).status_code == 302
    settle(group.stack)
    assert erase_departed() == 0
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert erase_departed() == 0, "a deactivation later on is no wish to be deleted"
    assert "account.deletion_cancelled" in deeds()


def test_somebody_who_is_being_deleted_cannot_be_added_to_a_group(group: Group, operator: Actor) -> None:
    ada = joined(group, operator)
    delete(signed_in())
    settle(group.stack)
    ada.refresh_from_db()
    with pytest.raises(Exception, match="not active"):
        add_member(group=group, user=ada, access=Access.KEYS, actor=operator)

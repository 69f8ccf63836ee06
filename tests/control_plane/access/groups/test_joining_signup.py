"""Signing up with a join code or for a new group: what is refused before there is an account, and what waits afterwards."""

import pytest
from django.test import Client

from control_plane.access.groups.models import Group, JoinCode, JoinRequest
from control_plane.access.groups.services.joining import ask_to_join
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from tests.actors import actor_of
from tests.factories import join_code_for

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough passphrase"
FIELDS = {"email": "lise@example.org", "name": " Lise  Meitner", "password1": PASSWORD, "password2": PASSWORD}


def sign_up(**fields: str) -> str:
    page = Client().post("/accounts/signup/", FIELDS | fields, follow=True)
    return page.content.decode()


def test_it_works(group: Group) -> None:
    sign_up(use_code="on", join_code=join_code_for(group).replace("-", " "))
    user = User.objects.get(email="lise@example.org")
    assert (user.name, user.requested_group, user.use_code) == ("Lise Meitner", "example-lab", True)
    request = JoinRequest.objects.get()
    assert (request.user, request.group, request.state) == (user, group, "unverified")


def test_for_a_new_group() -> None:
    sign_up(requested_group="Meitner Lab")
    request = JoinRequest.objects.get()
    assert (request.requested_name, request.state, request.user.requested_group) == ("Meitner Lab", "unverified", "Meitner Lab")


def test_use_code_decides_which_of_the_two_counts(group: Group) -> None:
    code = join_code_for(group)
    sign_up(requested_group="Meitner Lab", join_code=code)
    assert JoinRequest.objects.get().is_for_new_group
    assert JoinCode.objects.get().uses == 0


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"use_code": "on"}, "Write your join code"),
        ({"use_code": "on", "join_code": "AAAA-BBBB"}, "does not work"),
        ({"use_code": "on", "join_code": "Example Lab"}, "does not work"),
        ({}, "Write the name of the group"),
        ({"requested_group": "Example  LAB"}, "ask the group&#x27;s manager for a code"),
        ({"requested_group": "Ex\u0430mple Lab"}, "mixes letters"),
        ({"requested_group": "Meitner Lab", "name": "L\u0456se"}, "mixes letters"),
        ({"requested_group": "Meitner Lab", "name": ""}, "required"),
        ({"requested_group": "x" * 121}, "at most 120"),
    ],
)
def test_what_is_wrong_is_said_before_there_is_an_account(group: Group, fields: dict[str, str], says: str) -> None:
    assert says in sign_up(**fields)
    assert not User.objects.filter(email="lise@example.org").exists()
    assert not JoinRequest.objects.exists()


def test_an_address_that_is_known_asks_for_nothing(group: Group, ada: User) -> None:
    sign_up(email=ada.email, use_code="on", join_code=join_code_for(group))
    assert not JoinRequest.objects.exists()
    assert JoinCode.objects.get().uses == 0


def test_a_code_used_up_meanwhile_leaves_an_account_that_can_ask_again(
    group: Group, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = join_code_for(group, most_uses=1)
    row = JoinCode.objects.get()

    def look(text: str) -> JoinCode:
        # Somebody is faster, after the form has looked.
        ask_to_join(user=ada, actor=actor_of(ada), code=code)
        return row

    monkeypatch.setattr("control_plane.access.groups.signup.find_usable_code", look)
    sign_up(use_code="on", join_code=code)
    user = User.objects.get(email="lise@example.org")
    assert not user.join_requests.exists()


def test_the_audit_trail_names_the_person(group: Group, operator: Actor) -> None:
    from control_plane.base.audit.models import AuditEvent

    sign_up(use_code="on", join_code=join_code_for(group))
    event = AuditEvent.objects.get(action="join.ask")
    assert (event.actor, event.channel, event.target) == ("lise@example.org", "web", "lise@example.org, Example Lab")

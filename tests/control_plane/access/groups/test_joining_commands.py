"""Join codes, requests and managers from a terminal."""

import pytest
from django.core.management.base import CommandError

from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.services.join_codes import find_usable_code
from control_plane.accounts.models import User
from tests.control_plane.deployments.test_commands import refusal, run
from tests.factories import JoinRequestFactory

pytestmark = pytest.mark.django_db


def test_codes(group: Group) -> None:
    made = run("joincode", "create", "example-lab", "--days", "7", "--most-uses", "2")
    assert find_usable_code(made["code"]).group == group
    listed = run("joincode", "list", "example-lab")
    assert [(row["prefix"], row["state"], row["most_uses"]) for row in listed] == [(made["code"][:4], "usable", 2)]
    assert made["code"] not in str(listed)
    rotated = run("joincode", "rotate", "example-lab", made["prefix"].lower())
    assert find_usable_code(rotated["code"]).group == group
    assert run("joincode", "withdraw", "example-lab", rotated["prefix"])["state"] == "withdrawn"
    assert {joincode["state"] for joincode in run("joincode", "list", "example-lab")} == {"withdrawn"}


def test_requests(group: Group, ada: User, grace: User) -> None:
    first, second = (
        JoinRequestFactory.create(user=ada, group=group),
        JoinRequestFactory.create(user=grace, new_group_name="Hopper Lab"),
    )
    assert {request["id"] for request in run("request", "list")} == {first.pk, second.pk}
    done = run("request", "approve", str(first.pk), "--access", "keys", "--manager")
    assert (done["request"]["state"], done["deployment"]["state"]) == ("approved", "queued")
    assert Membership.objects.get(user=ada).is_manager
    assert run("request", "decline", str(second.pk), "--note", "Use a code.")["note"] == "Use a code."
    assert run("request", "list") == []
    assert len(run("request", "list", "--all")) == 2


def test_a_new_group_by_request(ada: User) -> None:
    request = JoinRequestFactory.create(user=ada, new_group_name="Noether Lab")
    assert run("request", "approve", str(request.pk), "--slug", "noether-lab")["request"]["group"] == "noether-lab"


def test_managers_and_keys(group: Group, ada: User) -> None:
    run("member", "add", "example-lab", ada.email, "--manager")
    assert run("group", "show", "example-lab")["members"][0]["is_manager"]
    assert run("member", "manager", "example-lab", ada.email, "--remove")["member"]["is_manager"] is False
    assert run("member", "manager", "example-lab", ada.email)["member"]["is_manager"] is True
    assert run("group", "keys", "example-lab", "allow")["group"]["allows_keys"] is True


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("joincode", "create", "nowhere"), "no group 'nowhere'"),
        (("joincode", "create", "example-lab", "--days", "0"), "1 to 365 days"),
        (("joincode", "withdraw", "example-lab", "ZZZZ"), "no code that begins"),
        (("request", "approve", "99"), "no request 99"),
        (("member", "manager", "example-lab", "ada@example.org"), "not in Example Lab"),
    ],
)
def test_what_makes_no_sense_is_refused(group: Group, ada: User, arguments: tuple[str, ...], says: str) -> None:
    error: CommandError = refusal(*arguments)
    assert says in str(error)

"""The commands, as a person or a script meets them."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from control_plane.access.groups.models import Group, Membership
from control_plane.deployments.failures import FailedResource
from control_plane.deployments.models import Deployment
from tests.control_plane.fakes import FakeAws, holding, reconcile_all

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> Any:
    out = StringIO()
    call_command(*arguments, "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def refusal(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as error:
        call_command(*arguments, stdout=StringIO())
    assert error.value.returncode == 2
    return error.value


def test_a_group_and_its_members_can_be_shown() -> None:
    run("group", "create", "example-lab", "--name", "Example Lab")
    added = run("member", "add", "example-lab", "ada@example.org", "--create", "--access", "keys")
    assert added["deployment"]["state"] == "queued"
    shown = run("group", "show", "example-lab")
    assert shown["members"] == [
        {
            "email": "ada@example.org",
            "username": Membership.objects.get().username,
            "access": "keys",
            "is_manager": False,
            "state": "adding",
            "suspended_at": None,
        }
    ]
    assert [group["slug"] for group in run("group", "list")] == ["example-lab"]
    assert (
        run("deployment", "show", str(added["deployment"]["id"]))["changes"][-1]["summary"]
        == "Giving ada@example.org access to Example Lab"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("member", "add", "nowhere", "ada@example.org"), "no group 'nowhere'"),
        (("member", "add", "example-lab", "nobody@example.org"), "Nobody is known as"),
        (("member", "add", "example-lab", "not an address", "--create"), "not an e-mail address"),
        (("member", "remove", "example-lab", "admin@example.org"), "not in Example Lab"),
        (("member", "credentials", "example-lab", "admin@example.org"), "not in Example Lab"),
        (("analysis", "create", "ephys", "--bucket", "Not A Bucket"), "small letters"),
        (("analysis", "grant", "nothing", "example-lab"), "no analysis 'nothing'"),
        (("deployment", "show", "99"), "no deployment 99"),
        (("group", "create", "example-lab"), "already"),
    ],
)
@pytest.mark.usefixtures("group", "administrator")
def test_what_makes_no_sense_is_one_clear_message_and_starts_nothing(arguments: tuple[str, ...], says: str) -> None:
    before = Deployment.objects.count()
    assert says in str(refusal(*arguments))
    assert Deployment.objects.count() == before


@pytest.mark.usefixtures("group")
def test_a_refusal_is_json_too_where_json_is_asked_for() -> None:
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("group", "create", "example-lab", "--json", stdout=out)
    assert "already" in json.loads(out.getvalue())["error"]


@pytest.mark.usefixtures("group")
def test_a_wait_that_runs_out_says_so_by_its_exit_status() -> None:
    with pytest.raises(SystemExit) as ended:
        run("member", "add", "example-lab", "ada@example.org", "--create", "--wait", "--timeout", "0.3")
    assert ended.value.code == 3


def test_a_failed_deployment_is_the_exit_status_of_who_waited(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = FailedResource("Federated", "AWS::IAM::Role", "Policy is not valid")
    aws = FakeAws(outcome=lambda name: holding(0, "ROLLBACK_COMPLETE"), failure=refused).install(monkeypatch)
    # The worker gets its turn whenever the command looks how far the deployment is.
    monkeypatch.setattr("control_plane.deployments.terminal.time.sleep", lambda seconds: reconcile_all(aws))
    with pytest.raises(SystemExit) as ended:
        run("member", "add", "example-lab", "ada@example.org", "--create", "--wait")
    assert ended.value.code == 1

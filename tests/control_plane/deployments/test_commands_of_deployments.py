"""`manage.py deployment` and `manage.py stack`, as a person or a script meets them."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from control_plane.access.groups.models import Group
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.deployments.models import Deployment, DriftState, Stack
from control_plane.deployments.requests import deploy_again
from tests.factories import JoiningDeploymentFactory, mark_drifted, settle

pytestmark = pytest.mark.django_db
OTHER = Actor(label="terminal:other", channel="terminal")


def run(*arguments: str) -> Any:
    out = StringIO()
    call_command(*arguments, "--json", stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def refusal(*arguments: str) -> str:
    with pytest.raises(CommandError) as error:
        call_command(*arguments, stdout=StringIO())
    assert error.value.returncode == 2
    return str(error.value)


def waited(*arguments: str) -> tuple[int, str, str]:
    """The exit status of a command that waits, and what it printed."""
    out, err = StringIO(), StringIO()
    try:
        call_command(*arguments, "--wait", stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something happen whenever a command that waits looks how far it is."""

    def install(happens: Callable[[], object]) -> None:
        monkeypatch.setattr("time.sleep", lambda seconds: happens())

    return install


def test_deployments_are_listed_by_state(group: Group, ada: User) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, running=True)
    assert [row["id"] for row in run("deployment", "list", "--state", "running")] == [deployment.pk]
    assert run("deployment", "list", "--state", "failed") == []


def test_a_deployment_is_shown_with_its_resources(group: Group, ada: User) -> None:
    shown = run("deployment", "show", str(JoiningDeploymentFactory.create(group=group, user=ada, running=True).pk))
    assert shown["covers"] == {"from": 2, "to": 2}
    assert [resource["state"] for resource in shown["resources"]] == ["done", "running", "waiting"]
    assert (shown["attempts"], shown["stages"]["executing"]) == (1, 4.0)


def test_what_waits_is_cancelled_and_nothing_twice(group: Group, ada: User) -> None:
    number = str(JoiningDeploymentFactory.create(group=group, user=ada).pk)
    assert run("deployment", "cancel", number)["deployment"]["state"] == "cancelled"
    assert "has ended" in refusal("deployment", "cancel", number)


def test_an_ended_deployment_is_repeated(group: Group, ada: User) -> None:
    first = JoiningDeploymentFactory.create(group=group, user=ada, failed=True)
    assert run("deployment", "retry", str(first.pk))["deployment"]["state"] == "queued"
    assert "on its way already" in refusal("deployment", "retry", str(first.pk))


def test_a_deployment_is_approved_or_refused(group: Group, ada: User, grace: User) -> None:
    first = JoiningDeploymentFactory.create(group=group, user=ada, actor=OTHER, planned=True)
    approved = run("deployment", "approve", str(first.pk))["deployment"]
    assert approved["state"] == "queued"
    assert approved["approved_by"].startswith("terminal:")
    second = JoiningDeploymentFactory.create(group=group, user=grace, actor=OTHER, planned=True)
    refused = run("deployment", "reject", str(second.pk), "--reason", "Not now")["deployment"]
    assert (refused["state"], "Not now" in refused["error"]) == ("cancelled", True)
    assert "does not wait" in refusal("deployment", "approve", str(second.pk))


def test_who_waits_follows_a_deployment_into_the_later_one(
    group: Group, ada: User, operator: Actor, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    first = JoiningDeploymentFactory.create(group=group, user=ada, failed=True)

    def happens() -> None:
        if second := Deployment.objects.filter(state="queued").first():
            Deployment.objects.filter(pk=second.pk).update(state=Deployment.State.FAILED)
            third = deploy_again(second, actor=operator)
            Deployment.objects.filter(pk=second.pk).update(state=Deployment.State.SUPERSEDED, superseded_by=third)
            Deployment.objects.filter(pk=third.pk).update(state=Deployment.State.SUCCEEDED)

    meanwhile(happens)
    status, out, err = waited("deployment", "retry", str(first.pk))
    assert status == 0
    assert f"Deployment {first.pk + 2} of" in out
    assert f"goes on in deployment {first.pk + 2}" in err


def test_who_waits_is_told_that_an_approval_is_missing_and_of_a_refusal(
    group: Group, ada: User, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    first = JoiningDeploymentFactory.create(group=group, user=ada, failed=True)

    def happens() -> None:
        deployments = Deployment.objects.filter(pk__gt=first.pk)
        if deployments.filter(state="approval").exists():
            deployments.update(state=Deployment.State.CANCELLED, error="Not approved by other@example.org.")
        else:
            deployments.update(state=Deployment.State.APPROVAL)

    meanwhile(happens)
    status, out, err = waited("deployment", "retry", str(first.pk))
    assert status == 1
    assert "waits for a second administrator" in err
    assert "Not approved by other@example.org." in out


def test_stacks_are_listed_and_shown(group: Group) -> None:
    settle(group.stack)
    mark_drifted(group.stack)
    assert [(stack["name"], stack["drift_state"]) for stack in run("stack", "list")] == [("Group-example-lab", "drifted")]
    out = StringIO()
    call_command("stack", "show", "Group-example-lab", stdout=out)
    assert "IAM Role Role1 was changed: /Policies/0 is '<b>everything</b>', not 'read'" in out.getvalue()
    assert "no stack 'Group-nowhere'" in refusal("stack", "show", "Group-nowhere")


@pytest.mark.parametrize(("answer", "status"), [(DriftState.IN_SYNC, 0), (DriftState.DRIFTED, 1), (DriftState.MISSING, 1)])
def test_who_waits_for_a_check_has_the_answer_as_the_exit_status(
    group: Group, meanwhile: Callable[[Callable[[], object]], None], answer: str, status: int
) -> None:
    meanwhile(lambda: Stack.objects.update(drift_state=answer))
    assert waited("stack", "check", "Group-example-lab")[0] == status


def test_a_check_that_takes_too_long_says_so(group: Group) -> None:
    with pytest.raises(SystemExit) as ended:
        run("stack", "check", "Group-example-lab", "--wait", "--timeout", "0.1")
    assert ended.value.code == 3
    assert run("stack", "check", "Group-example-lab")["drift_state"] == "checking"


def test_a_stack_is_repaired(group: Group) -> None:
    settle(group.stack)
    assert run("stack", "repair", "Group-example-lab")["deployment"]["revert_drift"]
    assert "on its way already" in refusal("stack", "repair", "Group-example-lab")

"""After an upgrade every stack is deployed as the new release makes it, though nothing that is wanted has changed."""

import json

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command

from control_plane.access.groups.models import Analysis, Group
from control_plane.access.groups.services.renewal import renew_all
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from stacks.manifest import GroupManifest, parse
from tests.actors import OPERATOR
from tests.factories import settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def settled(group: Group, epi: Analysis) -> list[Stack]:
    """A group's stack and the storage stack, which AWS holds as they are wanted."""
    stacks = [group.stack, epi.stack]
    for stack in stacks:
        settle(stack)
    return stacks


def test_each_stack_gets_a_new_generation_that_wants_the_same(settled: list[Stack], group: Group) -> None:
    before = parse(StoredManifest.objects.filter(stack=group.stack).order_by("-generation")[0].text)
    started = renew_all(actor=OPERATOR)
    assert [deployment.stack.name for deployment in started] == ["Cohort-Storage", "Group-example-lab"]
    after = parse(StoredManifest.objects.filter(stack=group.stack).order_by("-generation")[0].text)
    assert isinstance(before, GroupManifest)
    assert after == before.model_copy(update={"generation": before.generation + 1})
    assert set(Stack.objects.out_of_step().values_list("name", flat=True)) == {"Cohort-Storage", "Group-example-lab"}
    assert AuditEvent.objects.filter(action="stack.renew").count() == 2


def test_a_second_call_joins_what_waits_already(settled: list[Stack]) -> None:
    first, second = renew_all(actor=OPERATOR), renew_all(actor=OPERATOR)
    assert [row.pk for row in first] == [row.pk for row in second]
    assert Deployment.objects.open().count() == 2


def test_what_was_changed_on_aws_and_what_is_retired_is_left_alone(settled: list[Stack], group: Group) -> None:
    Stack.objects.filter(pk=group.stack.pk).update(newer_generation=7)
    assert [deployment.stack.name for deployment in renew_all(actor=OPERATOR)] == ["Cohort-Storage"]
    Stack.objects.filter(pk=group.stack.pk).update(newer_generation=0, is_retired=True)
    assert [deployment.stack.name for deployment in renew_all(actor=OPERATOR)] == ["Cohort-Storage"]


def test_only_administrators_may(settled: list[Stack], ada: User) -> None:
    with pytest.raises(PermissionDenied):
        renew_all(actor=Actor(ada.email, "web", ada))
    assert not Deployment.objects.open().exists()


def test_the_command_says_what_it_started(settled: list[Stack], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("platform", "renew", "--json")
    assert json.loads(capsys.readouterr().out)["stacks"] == ["Cohort-Storage", "Group-example-lab"]

"""The demonstration data, on machines where somebody has changed it."""

import json
from typing import Any

import pytest
from django.core.management import call_command

from control_plane.access.groups.models import Analysis, Group, JoinRequest
from control_plane.access.groups.services.analyses import revoke_analysis
from control_plane.access.groups.services.joining import decline
from control_plane.accounts.models import User
from control_plane.deployments.models import Deployment
from control_plane.research.catalogue.entries import entry_of
from tests.actors import OPERATOR
from tests.factories import settle
from tests.labs import aws

__all__ = ["aws"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once", "aws")]


def run(capsys: pytest.CaptureFixture[str], verb: str, *options: str) -> Any:
    call_command("demo", verb, "--json", *options)
    return json.loads(capsys.readouterr().out)


def test_it_is_made_once_described_and_followed_where_it_was_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "ensure")["made"]
    assert "baseline: 1.0" in entry_of(Analysis.objects.get()).template
    again = run(capsys, "ensure")
    assert not again["made"]
    assert [deployment["id"] for deployment in again["deployments"]] == sorted(Deployment.objects.values_list("pk", flat=True))
    settle(Group.objects.get().stack)
    settle(Analysis.objects.get().stack)
    assert run(capsys, "ensure") == {"made": False, "deployments": []}
    assert Group.objects.count() == 1


def test_whoever_changed_it_keeps_the_site_from_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "ensure")
    assert run(capsys, "samples") == {"put": 0}
    settle(Group.objects.get().stack)
    revoke_analysis(analysis=Analysis.objects.get(), group=Group.objects.get(), actor=OPERATOR)
    assert run(capsys, "samples") == {"put": 0}


def test_it_waits_no_longer_where_an_administrator_has_to_approve_and_names_the_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(capsys, "ensure")
    storage = Deployment.objects.get(stack__analyses__slug="demo-traces")
    Deployment.objects.filter(pk=storage.pk).update(state="approval")
    with pytest.raises(SystemExit) as ended:
        call_command("demo", "ensure", "--wait", "--until-approval")
    assert ended.value.code == 3
    assert f"an administrator decides at http://localhost:8000/deployments/{storage.pk}/" in capsys.readouterr().out


def test_whoever_is_shown_as_asking_has_a_request_that_can_be_decided(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "ensure")
    asking = User.objects.exclude(requested_group="").order_by("email")
    requests = JoinRequest.objects.filter(state="waiting").order_by("user__email")
    assert [person.email for person in asking] == [item.user.email for item in requests] == ["emmy@example.org", "lise@example.org"]
    for request in requests:
        decline(request, actor=OPERATOR)
    assert not asking.all().exists(), "nobody is shown as asking for what was decided"

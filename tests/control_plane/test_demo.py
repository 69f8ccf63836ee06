"""The demonstration data, on machines where somebody has changed it."""

import json
from typing import Any

import pytest
from django.core.management import call_command

from control_plane.catalogue.entries import entry_of
from control_plane.deployments.models import Deployment
from control_plane.groups.models import Analysis, Group
from control_plane.groups.services.analyses import revoke_analysis
from tests.control_plane.conftest import OPERATOR, settle
from tests.labs import aws

__all__ = ["aws"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once", "aws")]


def run(capsys: pytest.CaptureFixture[str], verb: str) -> Any:
    call_command("demo", verb, "--json")
    return json.loads(capsys.readouterr().out)


def test_it_is_made_once_described_and_followed_where_it_was_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "ensure")["made"]
    assert "baseline: 1.0" in entry_of(Analysis.objects.get()).template
    again = run(capsys, "ensure")
    assert not again["made"]
    assert again["deployment"]["id"] == Deployment.objects.get(stack__group__slug="demo-lab").pk
    settle(Group.objects.get().stack)
    assert run(capsys, "ensure") == {"made": False}
    assert Group.objects.count() == 1


def test_whoever_changed_it_keeps_the_site_from_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "ensure")
    assert run(capsys, "samples") == {"put": 0}
    settle(Group.objects.get().stack)
    revoke_analysis(analysis=Analysis.objects.get(), group=Group.objects.get(), actor=OPERATOR)
    assert run(capsys, "samples") == {"put": 0}

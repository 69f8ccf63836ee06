"""`manage.py job`, on an AWS within this process."""

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from control_plane.access.groups.models import Group
from control_plane.research.jobs import protocol
from control_plane.research.jobs.models import Job
from control_plane.research.jobs.protocol import Status
from tests.control_plane.research.jobs.test_jobs import CONFIG, A, certify, give, line
from tests.factories import JobFactory
from tests.labs import Lab, aws, lab, rival

__all__ = ["aws", "lab", "rival"]
pytestmark = pytest.mark.django_db


def test_from_a_terminal(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.put(A, CONFIG)
    call_command(
        "job",
        "submit",
        "example-lab",
        "ephys",
        "inputs/a.csv",
        "--config",
        "configs/first.yaml",
        "--as",
        "ada@example.org",
        "--json",
    )
    name = json.loads(capsys.readouterr().out)["job"]
    job = Job.objects.get()
    assert name == job.name
    certify(lab, job, line(A, Status.SUCCESS))
    lab.put(protocol.log_key(job, A), body=b"done\n")
    lab.put(protocol.end_key(job))
    call_command("job", "follow", name)
    assert f"{name}: succeeded" in capsys.readouterr().out
    call_command("job", "log", name, "inputs/a.csv")
    assert "done" in capsys.readouterr().out
    call_command("job", "list", "example-lab", "--json")
    assert [row["state"] for row in json.loads(capsys.readouterr().out)] == ["succeeded"]


def test_a_name_that_two_groups_have_asks_which_is_meant(lab: Lab, rival: Client, capsys: pytest.CaptureFixture[str]) -> None:
    job = give(lab, A)
    theirs: dict[str, Any] = {name: getattr(job, name) for name in ("analysis", "submitted_by", "timestamp", "config_key")}
    other = JobFactory.create(
        group=Group.objects.get(slug="other-lab"), token="theirs", inputs=["other-lab/inputs/a.csv"], **theirs
    )
    with pytest.raises(CommandError, match=rf"Several groups.*{other.pk} \(other-lab\)"):
        call_command("job", "show", job.name)
    call_command("job", "show", str(job.pk), "--json")
    assert json.loads(capsys.readouterr().out)["group"] == "example-lab"
    call_command("job", "list", "example-lab")
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == [str(job.pk), job.name]
    with pytest.raises(CommandError, match="There is no job"):
        call_command("job", "show", "job__nothing_1")

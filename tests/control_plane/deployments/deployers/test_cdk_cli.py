"""The plain `cdk deploy`: what it says, and a CLI that is missing, fails, hangs, or loses its worker."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time

import pytest

from control_plane.base.aws import Place
from control_plane.base.config import ROOT, Config
from control_plane.deployments import cloudformation
from control_plane.deployments.deployers import _subprocess
from control_plane.deployments.deployers.cdk_cli import CdkCli
from control_plane.deployments.deployers.port import Declined, DeployerFailure, ResourceEvent, Target
from control_plane.deployments.models import Failure
from tests.control_plane.fakes import Listener, configure
from tests.control_plane.processes import is_alive, number_in, wait_until

TARGET = Target("Group-example-lab", "group=example-lab", place=Place("111122223333", "us-east-1"))


@pytest.fixture
def use(monkeypatch, tmp_path):
    """Have a shell script stand in for the CDK command line."""

    def install(script, **settings):
        program = tmp_path / "cdk-stand-in"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        configure(monkeypatch, "deployers.cdk_cli", cohort_cdk=str(program), **settings)
        configure(monkeypatch, "deployers._environment", var_dir=tmp_path)

    return install


def deploy(target=TARGET, **watching):
    listener = Listener(**watching)
    CdkCli().deploy(target, listener)
    return listener


def failure(**watching):
    with pytest.raises(DeployerFailure) as error:
        deploy(**watching)
    return error.value


def test_it_works(use):
    use("echo one; echo two >&2; printf three")
    assert deploy().lines == ["$ cdk deploy --exclusively Group-example-lab", "one", "two", "three"]


def test_it_is_told_to_deploy_that_stack_alone_and_to_ask_nobody(use):
    use('for word in "$@"; do echo "$word"; done')
    words = deploy(Target("Group-x", "group=x", revert_drift=True)).lines[1:]
    assert words[:5] == ["deploy", "--exclusively", "Group-x", "--context", "group=x"]
    assert words[words.index("--require-approval") + 1] == "never"
    assert "--revert-drift" in words
    assert "--revert-drift" not in deploy().lines


def test_what_it_prints_of_resources_becomes_events(use):
    use(
        "echo 'Group-x |  1/3 | 1:02:03 AM | CREATE_IN_PROGRESS | AWS::IAM::Role | Federated/Role (FederatedRole1)'\n"
        "echo 'Group-x | 12 | 1:02:03 AM | UPDATE_COMPLETE      | AWS::CloudFormation::Stack | Group-x'\n"
        "echo 'nothing | of | that | kind'"
    )
    assert deploy().events == [
        ResourceEvent("FederatedRole1", "AWS::IAM::Role", "CREATE_IN_PROGRESS"),
        ResourceEvent("Group-x", "AWS::CloudFormation::Stack", "UPDATE_COMPLETE"),
    ]


def test_it_cannot_tell_what_changes_and_asks_before_it_begins(use, tmp_path):
    use(f"touch {tmp_path}/ran")
    with pytest.raises(Declined):
        deploy(go=False)
    assert not (tmp_path / "ran").exists()
    assert deploy().plans == [None]
    assert (tmp_path / "ran").exists()


# A group whose role denied the sessions of one member, and one that denies two.
def _template(*usernames, **resources):
    denied = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringLike": {"aws:userid": list(usernames)}}}
    policies = [{"PolicyName": "ended-sessions", "PolicyDocument": {"Statement": [denied]}}]
    return {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": policies}}, **resources}}


SYNTHESISES = r"""
if [ "$1" = synth ]; then
  while [ "$1" != --output ]; do shift; done
  echo '%s' > "$2/Group-example-lab.template.json"
fi
echo "$1" >> %s/said
"""


@pytest.mark.parametrize(("held", "wanted", "broadens"), [(["*:a"], ["*:a", "*:b"], False), (["*:a", "*:b"], ["*:b"], True)])
def test_where_broadening_needs_approval_it_compares_what_it_is_to_deploy(use, tmp_path, monkeypatch, held, wanted, broadens):
    monkeypatch.setattr(cloudformation, "template", lambda *_: _template(*held))
    use(SYNTHESISES % (json.dumps(_template(*wanted)), tmp_path), require_approval="broadening")
    (plan,) = deploy().plans
    assert (plan.broadens, plan.names_resources) == (broadens, False)
    assert {(statement.change, statement.effect) for statement in plan.statements} == {("add", "Deny"), ("remove", "Deny")}
    ran = (tmp_path / "said").read_text().split()
    assert ran == ["--output", "deploy"]


def test_a_stack_with_nested_ones_is_taken_to_change_the_most(use, tmp_path, monkeypatch):
    nested = _template("*:a", More={"Type": "AWS::CloudFormation::Stack"})
    monkeypatch.setattr(cloudformation, "template", lambda *_: nested)
    use(SYNTHESISES % (json.dumps(nested), tmp_path), require_approval="broadening")
    assert deploy().plans == [None]


def test_a_missing_cli_says_what_to_install(monkeypatch):
    configure(monkeypatch, "deployers.cdk_cli", cohort_cdk="/nowhere/cdk")
    error = failure()
    assert "not installed" in str(error)
    assert "make install" in error.advice


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("the toolkit stack must be deployed to the environment", Failure.PERMANENT),
        ("connect ECONNREFUSED 127.0.0.1:4566", Failure.RETRYABLE),
        ("Rate exceeded", Failure.RETRYABLE),
    ],
)
def test_a_failing_cli_says_its_status_and_its_last_words_say_whether_it_passes(use, said, kind):
    use(f"echo '{said}' >&2; exit 3")
    error = failure()
    assert "status 3" in str(error)
    assert error.kind == kind


def test_a_cli_that_was_killed_is_a_failure_like_any_other(use):
    use("kill -9 $$")
    assert "status 137" in str(failure())


def test_a_cli_that_hangs_is_ended_with_its_children(use, tmp_path, monkeypatch):
    monkeypatch.setattr(_subprocess, "TICK_SECONDS", 0.05)
    use(f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; sleep 60", cohort_deploy_seconds=1)
    began = time.monotonic()
    error = failure()
    assert "longer than 1 s" in str(error)
    assert error.kind == Failure.RETRYABLE
    assert time.monotonic() - began < 20
    child = number_in(tmp_path / "child")
    wait_until(lambda: not is_alive(child))


def test_whatever_its_watcher_raises_ends_it(use, tmp_path, monkeypatch):
    monkeypatch.setattr(_subprocess, "TICK_SECONDS", 0.05)
    use(f"echo $$ > {tmp_path}/pid; sleep 60")

    def tick():
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        deploy(tick=tick)
    pid = number_in(tmp_path / "pid")
    wait_until(lambda: not is_alive(pid))


# Addresses that every page shows, or that a child needs, without a password in them.
NO_SECRETS = {"SITE_URL", "AWS_ENDPOINT_URL", "S3_BROWSER_URL", "OIDC_SERVER_URL", "HEALTH_URL", "SECRET_KEY"}


def test_what_django_keeps_is_withheld_from_it(use, monkeypatch):
    secrets = [name.upper() for name in Config.model_fields if re.search(r"secret|token|password|_url$", name)]
    secrets = [name for name in secrets if name not in NO_SECRETS]
    assert {"GOOGLE_CLIENT_SECRET", "WEBHOOK_URL", "DATABASE_URL"} <= set(secrets)
    for name in (*secrets, "ADMIN_PASSWORD"):
        monkeypatch.setenv(name, f"hidden-{name}")
    use("env")
    printed = "\n".join(deploy().lines)
    assert "AWS_ACCESS_KEY_ID=" in printed
    assert "COHORT_MANIFEST_STORE=" in printed
    assert "SECRET_KEY=only-for-tests" not in printed
    assert "hidden" not in printed


def test_nothing_is_left_in_the_work_folder(use, tmp_path):
    use('while [ "$1" != --output ]; do shift; done; test -d "$2" && touch "$2/template"; exit 1')
    failure()
    assert list((tmp_path / "cdk").iterdir()) == []


WORKER = """
import os, sys
from pathlib import Path
from control_plane.deployments.deployers._subprocess import run_streaming

script = f"echo $$ > {sys.argv[1]}/cli; sleep 60 & echo $! > {sys.argv[1]}/child; wait"
run_streaming(["/bin/sh", "-c", script], cwd=Path.cwd(), env=os.environ, on_line=print, on_tick=lambda: None, seconds=60)
"""


def test_a_worker_that_is_killed_takes_its_cli_and_the_cli_s_children_with_it(tmp_path):
    with subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)], cwd=ROOT) as worker:
        cli, child = number_in(tmp_path / "cli"), number_in(tmp_path / "child")
        assert is_alive(cli)
        assert is_alive(child)
        os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(cli) and not is_alive(child))

"""CDK's engine kept in a Node process: what it tells and asks, and what becomes of it when something goes wrong."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from control_plane.base.config import ROOT
from control_plane.deployments.deployers import resident as _resident
from control_plane.deployments.deployers.port import Declined, DeployerFailure, DeployerMissing, ResourceEvent, Target
from control_plane.deployments.deployers.resident import ResidentDeployer
from control_plane.deployments.models import Failure
from control_plane.deployments.plans import Plan, ResourceChange, StatementChange
from tests.control_plane.fakes import Listener, configure
from tests.control_plane.processes import is_alive, wait_until

STAND_IN = """
import json, os, sys

ALLOW = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
PLAN = {
    "resources": [{"logical_id": "Role1", "type": "AWS::IAM::Role", "action": "add", "properties": []}],
    "before": [{}],
    "after": [{"Role1": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyDocument": ALLOW}]}}}],
}

def say(identity, event, **more):
    print(json.dumps({"id": identity, "event": event, **more}), flush=True)

slow = None
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    with open(os.environ["STAND_IN_HEARD"], "a") as heard:
        heard.write(line)
    identity = message["id"]
    match message["op"], message.get("stack"):
        case "ping", _:
            say(identity, "pong")
        case "deploy" | "diff", "Dies":
            os._exit(1)
        case "deploy" | "diff", "Hangs":
            say(identity, "line", text="begun")
        case "deploy", "Slow":
            slow = identity
            say(identity, "line", text="begun")
        case "end", _:
            # What is slow has time enough to end once another was ended.
            if slow:
                say(slow, "done")
        case "deploy" | "diff", "Throttled":
            say(identity, "error", name="X", message="slow down please\\nmore", code="Throttling", status=400)
        case "deploy", "Refused":
            say(identity, "error", name="X", message="User is not authorized", code="AccessDenied", status=403)
        case "deploy", _:
            say(identity, "line", text="Group-x: creating CloudFormation changeset...")
            say(identity, "plan", **PLAN)
        case "diff", _:
            say(identity, "diff", **PLAN)
        case "answer", _ if message["go"]:
            say(identity, "resource", logicalId="Role1", type="AWS::IAM::Role", status="CREATE_FAILED", reason="taken")
            say(identity, "done")
        case ("answer" | "forget"), _:
            say(identity, "aborted")
"""
PLAN = Plan(
    "non-broadening",
    [ResourceChange("Role1", "AWS::IAM::Role", "add", [])],
    [StatementChange("add", "Allow", "s3:GetObject", "*", "Role1", "", widens=True)],
)


def target(name="Group-x"):
    return Target(name, "group=x", Path("/assembly"))


@pytest.fixture
def heard(tmp_path):
    """What the stand-in was told."""
    path = tmp_path / "heard"
    path.touch()
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def resident(monkeypatch, tmp_path, heard):
    """A resident deployer for which a small Python program stands in for Node."""
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setenv("STAND_IN_HEARD", str(tmp_path / "heard"))
    monkeypatch.setattr(_resident, "SCRIPT", tmp_path / "stand_in.py")
    node = tmp_path / "node"
    # Whatever it is told on how to run, it runs the last word of the command.
    node.write_text(f'#!/bin/sh\nfor script; do :; done\nexec {sys.executable} "$script"\n')
    node.chmod(0o700)
    monkeypatch.setattr(_resident, "_node", lambda: str(node))
    monkeypatch.setattr(_resident, "TICK_SECONDS", 0.02)
    deployer = ResidentDeployer()
    yield deployer
    deployer.end()


def test_it_works(resident, heard):
    listener = Listener()
    resident.deploy(target(), listener)
    assert listener.lines == ["Group-x: creating CloudFormation changeset..."]
    assert listener.plans == [PLAN]
    assert listener.events == [ResourceEvent("Role1", "AWS::IAM::Role", "CREATE_FAILED", "taken")]
    asked, answered = heard()
    assert (asked["assembly"], asked["stack"], asked["revertDrift"]) == ("/assembly", "Group-x", False)
    assert answered["go"] is True


def test_one_process_serves_all(resident):
    resident.deploy(target(), Listener())
    pid = resident.pid
    resident.deploy(target(), Listener())
    assert resident.pid == pid


def test_what_is_not_allowed_is_not_executed(resident, heard):
    with pytest.raises(Declined):
        resident.deploy(target(), Listener(go=False))
    assert heard()[-1]["go"] is False


def test_whatever_ends_the_watching_keeps_the_change_set_from_being_executed(resident, heard):
    ticks = iter([None, None])

    def tick():
        if next(ticks, "over") == "over":
            raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        resident.deploy(target("Hangs"), Listener(tick=tick))
    wait_until(lambda: heard()[-1]["op"] == "forget")
    # Others go on being served.
    resident.deploy(target(), Listener())


@pytest.mark.parametrize(
    ("name", "kind", "says", "advice"),
    [
        ("Throttled", Failure.RETRYABLE, "slow down please", "Correct the cause"),
        ("Refused", Failure.PERMANENT, "not authorized", "lacks this right"),
        ("Dies", Failure.RETRYABLE, "ended unexpectedly while it deployed", "started again"),
    ],
)
def test_a_failure_says_why_and_whether_it_passes(resident, name, kind, says, advice):
    with pytest.raises(DeployerFailure) as error:
        resident.deploy(target(name), Listener())
    assert says in str(error.value)
    assert "more" not in str(error.value)
    assert advice in error.value.advice
    assert error.value.kind == kind


def test_after_it_died_another_is_started(resident):
    with pytest.raises(DeployerFailure):
        resident.deploy(target("Dies"), Listener())
    resident.deploy(target(), Listener())


def test_one_that_takes_too_long_is_ended_alone_and_says_so(resident, monkeypatch, heard):
    resident.deploy(target(), Listener())
    pid = resident.pid
    configure(monkeypatch, "deployers.resident", cohort_change_set_seconds=0)
    with pytest.raises(DeployerFailure, match="making the change set took too long") as error:
        resident.deploy(target("Hangs"), Listener())
    assert error.value.kind == Failure.RETRYABLE
    assert "Other deployments go on" in error.value.advice
    wait_until(lambda: heard()[-1]["op"] == "end")
    assert resident.pid == pid
    assert is_alive(pid)


@pytest.mark.parametrize("too_long", ["deploy", "diff"])
def test_what_takes_too_long_leaves_the_other_deployments_of_the_process_alone(resident, monkeypatch, too_long):
    listener, failures = Listener(), []

    def deploy_slowly():
        try:
            resident.deploy(target("Slow"), listener)
        except DeployerFailure as error:
            failures.append(error)

    slow = threading.Thread(target=deploy_slowly)
    slow.start()
    wait_until(lambda: listener.lines == ["begun"])
    configure(monkeypatch, "deployers.resident", cohort_change_set_seconds=0)
    monkeypatch.setattr(_resident, "DIFF_SECONDS", 0)
    with pytest.raises(DeployerFailure, match="took too long"):
        resident.deploy(target("Hangs"), Listener()) if too_long == "deploy" else resident.diff(Path("/assembly"), "Hangs")
    slow.join(20)
    assert not slow.is_alive()
    assert failures == []


def test_a_diff_is_the_plan_alone(resident, heard):
    assert resident.diff(Path("/assembly"), "Group-x") == PLAN
    assert [message["op"] for message in heard()] == ["diff"]


@pytest.mark.parametrize(("name", "says"), [("Throttled", "slow down"), ("Dies", "ended unexpectedly"), ("Hangs", "too long")])
def test_a_diff_that_fails_says_why(resident, monkeypatch, name, says):
    monkeypatch.setattr(_resident, "DIFF_SECONDS", 1)
    with pytest.raises(DeployerFailure, match=says) as error:
        resident.diff(Path("/assembly"), name)
    assert error.value.kind == Failure.RETRYABLE


def test_one_that_hangs_is_found_and_ended_and_one_that_answers_is_left_alone(resident, monkeypatch):
    monkeypatch.setattr(_resident, "SILENCE_SECONDS", 0.3)
    resident.check()
    resident.deploy(target(), Listener())
    resident.check()
    pid = resident.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    resident.check()
    assert not is_alive(pid)


def test_where_node_cannot_start_it_the_next_way_to_deploy_is_used(resident, monkeypatch, tmp_path):
    monkeypatch.setattr(_resident, "SCRIPT", tmp_path / "nowhere.py")
    broken = ResidentDeployer()
    with pytest.raises(DeployerMissing, match="did not start"):
        broken.deploy(target(), Listener())


def test_where_cdk_s_engine_is_not_installed_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(_resident, "ROOT", tmp_path)
    with pytest.raises(DeployerMissing) as error:
        ResidentDeployer().warm()
    assert "make install" in error.value.advice


@pytest.fixture(scope="module")
def real():
    """With Node, and CDK's own library."""
    deployer = ResidentDeployer()
    yield deployer
    deployer.end()


def test_the_real_one_starts_and_answers(real):
    real.warm()
    child = real._child()
    with child.request({"op": "ping"}) as conversation:
        assert conversation.receive(10)["event"] == "pong"


def test_an_assembly_that_is_not_there_is_an_error_and_the_process_stays(real, tmp_path):
    pid = real._child().pid
    with pytest.raises(DeployerFailure, match="nowhere") as error:
        real.deploy(Target("Group-x", "group=x", tmp_path / "nowhere"), Listener())
    assert error.value.kind == Failure.PERMANENT
    with pytest.raises(DeployerFailure, match="nowhere"):
        real.diff(tmp_path / "nowhere", "Group-x")
    assert real.pid == pid


WHO = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Account>123456789012</Account><UserId>A</UserId><Arn>arn:aws:iam::123456789012:user/a</Arn>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)


class SilentAws(ThreadingHTTPServer):
    """Says who asks, and takes every other call without ever answering. `waiting` holds the connections of those."""

    daemon_threads = True

    def __init__(self):
        self.waiting: list[socket.socket] = []
        super().__init__(("127.0.0.1", 0), _Silence)


class _Silence(BaseHTTPRequestHandler):
    server: SilentAws

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        if b"GetCallerIdentity" in asked:
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(WHO)))
            self.end_headers()
            self.wfile.write(WHO.encode())
            return
        self.server.waiting.append(self.connection)
        # Until whoever asks gives up.
        with contextlib.suppress(ConnectionError):
            self.rfile.read(1)
        self.server.waiting.remove(self.connection)
        self.close_connection = True

    def log_message(self, *_):
        """Nothing: this is no server of ours."""


@pytest.fixture
def silent_aws(monkeypatch):
    """An AWS that answers to nothing but who we are."""
    with SilentAws() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()


@pytest.fixture
def ready_assembly(tmp_path):
    """The assembly of one small stack."""
    (tmp_path / "Group-x.template.json").write_text('{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}')
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://123456789012/us-east-1",
        "properties": {"templateFile": "Group-x.template.json", "stackName": "Group-x"},
        "displayName": "Group-x",
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"version": "36.0.0", "artifacts": {"Group-x": stack}}))
    return tmp_path


def test_the_real_one_lets_go_of_the_deployment_that_takes_too_long_and_of_no_other(silent_aws, ready_assembly, monkeypatch):
    deployer, failures = ResidentDeployer(), []

    def deploy():
        try:
            deployer.deploy(Target("Group-x", "group=x", ready_assembly), Listener())
        except DeployerFailure as error:
            failures.append(str(error))

    other = threading.Thread(target=deploy)
    try:
        pid = deployer._child().pid
        other.start()
        wait_until(lambda: silent_aws.waiting)
        (stays,) = silent_aws.waiting
        configure(monkeypatch, "deployers.resident", cohort_change_set_seconds=2)
        deploy()
        assert len(failures) == 1
        assert "took too long" in failures[0]
        # Its call has ended, and the other's has not.
        wait_until(lambda: silent_aws.waiting == [stays])
        assert (deployer.pid, other.is_alive()) == (pid, True)
        deployer.check()
        assert deployer.pid == pid
    finally:
        deployer.end()
        other.join(20)


def test_a_call_that_aws_does_not_answer_ends_by_itself_and_is_tried_again(silent_aws, ready_assembly, monkeypatch):
    monkeypatch.setattr(_resident, "CALL_SECONDS", 0.5)
    deployer = ResidentDeployer()
    try:
        with pytest.raises(DeployerFailure, match="AWS did not answer") as error:
            deployer.deploy(Target("Group-x", "group=x", ready_assembly), Listener())
        assert error.value.kind == Failure.RETRYABLE
    finally:
        deployer.end()


def test_the_real_one_ends_with_its_input():
    node = subprocess.Popen([_resident._node(), str(_resident.SCRIPT)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert node.stdin is not None
    assert node.stdout is not None
    assert json.loads(node.stdout.readline()) == {"ready": True}
    node.stdin.close()
    assert node.wait(10) == 0
    node.stdout.close()

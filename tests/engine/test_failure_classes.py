"""Each kind of failure as a person meets it: what passes is tried again, what does not says what to do, and waits."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_aws.identity import create_identity
from stacks import names
from tests.engine.conftest import NewControl
from tests.engine.control import ACCOUNT, REGION
from tests.engine.running import Running
from tests.slow import slow

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

ADA, GRACE = "ada@example.org", "grace@example.org"
NOBODY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}]}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
# Twice what a worker waits between two sweeps, which is when it takes up what was forgotten.
TWO_SWEEPS = 2.5


@pytest.fixture(autouse=True)
def _calm(running: Running) -> Iterator[None]:
    """Whatever a test did to AWS ends with it."""
    yield
    running.faults.clear()
    running.cloud.aws.set_pace(0)


@pytest.mark.parametrize(
    ("kind", "says", "advice"),
    [
        ("throttle", "AWS is busy: CloudFormation answered Throttling: Rate exceeded", "tried again by itself"),
        ("503", "AWS is busy: CloudFormation answered ServiceUnavailable", "tried again by itself"),
        ("drop", "AWS does not answer", "check the network and AWS_ENDPOINT_URL"),
    ],
)
def test_what_passes_by_itself_is_told_and_tried_until_it_succeeds(
    running: Running, lab_name: str, kind: Any, says: str, advice: str
) -> None:
    slug = running.lab(lab_name)
    running.faults.add(kind, action="DescribeStacks")
    running.control.do("add", slug=slug, email=ADA, access="keys")
    waiting = running.when(slug, lambda one: one["state"] == "queued" and one["error"])
    running.faults.clear()
    assert says in waiting["error"]
    assert "Nothing was changed on AWS by this try." in waiting["advice"]
    assert advice in waiting["advice"]
    assert waiting["failure"] == "retryable"
    ended = running.ends(slug, "succeeded")
    assert (ended["id"], ended["error"]) == (waiting["id"], "")
    assert ended["attempts"] > 1
    running.control.assert_aws_holds_what_the_database_says()


def test_an_aws_that_does_not_answer_costs_a_deployer_and_no_change(running: Running, lab_name: str) -> None:
    slug = running.lab(lab_name)
    running.faults.add("hang", action="CreateChangeSet", times=1, seconds=60)
    running.control.do("add", slug=slug, email=ADA, access="keys")
    ended = running.ends(slug, "succeeded")
    assert "Failed: This deployment was ended because making the change set took too long." in ended["log"]
    assert ended["attempts"] == 2
    running.control.assert_aws_holds_what_the_database_says()


def test_an_answer_that_is_lost_on_the_way_changes_nothing_twice(running: Running, lab_name: str) -> None:
    slug = running.lab(lab_name)
    running.faults.add("lose", action="ExecuteChangeSet", times=1)
    running.control.do("add", slug=slug, email=ADA, access="keys")
    running.ends(slug, "succeeded")
    running.control.assert_aws_holds_what_the_database_says()


def test_a_name_that_is_taken_is_told_with_what_to_do_and_waits_for_somebody(running: Running, lab_name: str) -> None:
    """And the stack that could not be made is removed and made again, when somebody asks or something else is wanted."""
    iam, asked, changed = running.cloud.root("iam"), running.control.slug(f"{lab_name}-a"), running.control.slug(f"{lab_name}-b")
    for slug in (asked, changed):
        iam.create_role(RoleName=names.role(slug), AssumeRolePolicyDocument=TRUST)
        running.control.do("group", slug=slug)
    for slug in (asked, changed):
        failed = running.ends(slug, "failed")
        assert "AWS::IAM::Role “FederatedRole" in failed["error"]
        assert f"Role with name {names.role(slug)} already exists" in failed["error"]
        assert "AWS holds what it held before" in failed["advice"]
        assert "rename or remove it on AWS, then deploy again" in failed["advice"]
        assert (failed["failure"], failed["status"]) == ("permanent", "ROLLBACK_COMPLETE")
    before = len(running.control.dump()["deployments"])
    time.sleep(TWO_SWEEPS)
    assert len(running.control.dump()["deployments"]) == before
    for slug in (asked, changed):
        iam.delete_role(RoleName=names.role(slug))
    running.control.do("retry", deployment=running.newest(asked)["id"])
    running.control.do("add", slug=changed, email=ADA, access="keys")
    for slug in (asked, changed):
        ended = running.ends(slug, "succeeded")
        assert f"Group-{slug} is ROLLBACK_COMPLETE, which cannot be deployed to: removing it first" in ended["log"]
    running.control.assert_aws_holds_what_the_database_says()


def test_a_member_s_name_that_is_taken_leaves_the_group_as_it_was(running: Running, lab_name: str) -> None:
    slug, iam = running.lab(lab_name, ADA), running.cloud.root("iam")
    with running.worker_paused():
        running.control.do("add", slug=slug, email=GRACE, access="keys")
        members = running.control.dump()["members"]
        taken = names.user(
            slug, next(member["username"] for member in members if (member["group"], member["email"]) == (slug, GRACE))
        )
        iam.create_user(UserName=taken)
    failed = running.ends(slug, "failed")
    assert "AWS::IAM::User" in failed["error"]
    assert taken in failed["error"]
    assert (failed["failure"], failed["status"]) == ("permanent", "UPDATE_ROLLBACK_COMPLETE")
    assert len(iam.list_users(PathPrefix=names.iam_path(slug))["Users"]) == 1
    iam.delete_user(UserName=taken)
    running.control.do("retry", deployment=failed["id"])
    running.ends(slug, "succeeded")
    running.control.assert_aws_holds_what_the_database_says()


def test_a_deployment_that_waits_is_cancelled_at_once_and_does_not_come_with_the_next_change(
    running: Running, lab_name: str
) -> None:
    slug = running.lab(lab_name)
    with running.worker_paused():
        waiting = running.control.do("add", slug=slug, email=ADA, access="keys")
        assert running.control.do("cancel", deployment=waiting) == "cancelled"
    (cancelled,) = [deployment for deployment in running.control.dump()["deployments"] if deployment["id"] == waiting]
    assert (cancelled["state"], cancelled["attempts"]) == ("cancelled", 0)
    assert cancelled["error"] == "Cancelled by terminal:tester before it began."
    assert f"Withdrawn: {ADA} gets access" in cancelled["advice"]
    running.control.do("add", slug=slug, email=GRACE, access="keys")
    running.ends(slug, "succeeded")
    assert len(running.cloud.root("iam").list_users(PathPrefix=names.iam_path(slug))["Users"]) == 1
    running.control.assert_aws_holds_what_the_database_says()


def test_an_update_that_is_cancelled_is_taken_back_and_does_not_come_again(running: Running, lab_name: str) -> None:
    slug = running.lab(lab_name, ADA)
    with running.cloud.slowly(60):
        under_way = running.control.do("add", slug=slug, email=GRACE, access="keys")
        running.when(slug, lambda one: any("UPDATE_IN_PROGRESS" in line for line in one["log"]))
        assert running.control.do("cancel", deployment=under_way) == "running"
        running.when(slug, lambda one: any(line.startswith("Cancelling:") for line in one["log"]))
    ended = running.ends(slug, "succeeded")
    (cancelled,) = [deployment for deployment in running.control.dump()["deployments"] if deployment["id"] == under_way]
    assert (cancelled["state"], cancelled["status"], cancelled["failure"]) == ("cancelled", "UPDATE_ROLLBACK_COMPLETE", "")
    assert cancelled["error"] == "Cancelled by terminal:tester."
    assert "UPDATE_ROLLBACK_COMPLETE" in cancelled["advice"]
    assert ended["id"] != under_way
    assert len(running.cloud.root("iam").list_users(PathPrefix=names.iam_path(slug))["Users"]) == 1
    running.control.assert_aws_holds_what_the_database_says()


def test_a_creation_that_is_cancelled_says_that_aws_cannot_take_it_back(running: Running, lab_name: str) -> None:
    slug = running.control.slug(lab_name)
    with running.cloud.slowly(30):
        running.control.do("group", slug=slug)
        creating = running.when(slug, lambda one: any("CREATE_IN_PROGRESS" in line for line in one["log"]))
        running.control.do("cancel", deployment=creating["id"])
        running.when(slug, lambda one: "AWS cannot take this change back any more" in one["log"])
    ended = running.ends(slug, "succeeded")
    assert ended["id"] == creating["id"]


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["hangs", "dies"])
def test_a_deployer_that_hangs_or_dies_while_aws_is_at_work_costs_nothing(
    running: Running, lab_name: str, number: signal.Signals
) -> None:
    slug = running.lab(lab_name, ADA)
    with running.cloud.slowly(60):
        # One change alone: a second one might wait for the next run, and be the newest.
        running.control.do("add", slug=slug, email=GRACE, access="keys")
        running.when(slug, lambda one: any("UPDATE_IN_PROGRESS" in line for line in one["log"]))
        os.kill(running.child("resident_deployer"), number)
        waiting = f"Group-{slug} is UPDATE_IN_PROGRESS: waiting until CloudFormation has ended"
        running.when(slug, lambda one: waiting in one["log"])
    assert running.ends(slug, "succeeded")["attempts"] == 1
    running.control.assert_aws_holds_what_the_database_says()


@pytest.mark.parametrize(
    ("child", "says"),
    [
        ("resident_deployer", "Failed: The resident deployer ended unexpectedly while it deployed."),
        ("stacks.group.synthesiser", "Failed: The synthesiser ended unexpectedly."),
    ],
)
def test_a_process_that_hangs_and_is_ended_at_work_costs_a_try(running: Running, lab_name: str, child: str, says: str) -> None:
    slug = running.lab(lab_name, ADA)
    pid = running.child(child)
    os.kill(pid, signal.SIGSTOP)
    running.control.do("add", slug=slug, email=GRACE, access="keys")
    if child == "stacks.group.synthesiser":
        # A synthesis that takes too long is ended after COHORT_SYNTH_SECONDS; here somebody does it by hand.
        running.when(slug, lambda one: one["state"] == "running")
        os.kill(pid, signal.SIGKILL)
    ended = running.ends(slug, "succeeded")
    assert ended["attempts"] == 2
    assert says in ended["log"]
    running.control.assert_aws_holds_what_the_database_says()


@pytest.mark.parametrize("kind", ["wrong-secret", "no-rights"])
def test_an_identity_that_may_not_is_told_clearly_and_not_tried_for_ever(
    running: Running, new_control: NewControl, kind: str
) -> None:
    control = new_control("sqlite")
    slug = control.slug("lab")
    control.do("group", slug=slug)
    if kind == "wrong-secret":
        settings, says, advice = {"AWS_SECRET_ACCESS_KEY": "wrong"}, "AWS refuses the control plane's credentials", "access key"
    else:
        key, secret = create_identity(control.cloud.aws.endpoint, ACCOUNT, REGION, "nobody", NOBODY)
        settings = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        says, advice = "AWS does not allow it", "Give the worker's identity this right"
    worker = control.worker(**settings)
    (failed,) = [deployment for deployment in control.idle()["deployments"] if deployment["stack"] == f"Group-{slug}"]
    assert says in failed["error"]
    assert advice in failed["advice"]
    assert "Nothing was changed on AWS by this try." in failed["advice"]
    assert (failed["state"], failed["failure"], failed["attempts"]) == ("failed", "permanent", 1)
    worker.kill()


@slow
def test_without_its_resident_deployer_a_worker_uses_the_plain_cdk_deploy_and_says_so(new_control: NewControl) -> None:
    control = new_control("sqlite")
    slug = control.slug("lab")
    control.do("group", slug=slug)
    control.do("add", slug=slug, email=ADA, access="keys")
    control.worker(tuned=[f"control_plane.deployments.deployers.resident.SCRIPT={Path('/nowhere.mjs')}"])
    (ended,) = [deployment for deployment in control.settled()["deployments"] if deployment["stack"] == f"Group-{slug}"]
    assert any("The plain `cdk deploy` is used instead." in line for line in ended["log"])
    assert any(line.startswith(f"$ cdk deploy --exclusively Group-{slug}") for line in ended["log"])
    control.assert_aws_holds_what_the_database_says()

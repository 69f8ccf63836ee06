"""`manage.py doctor` on an account: ready after the bootstrap, and each thing that is spoilt named."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from control_plane.doctor import checks, report
from control_plane.doctor.check_context import CheckContext
from control_plane.doctor.findings import State
from local_aws.server import EmbeddedAws, free_port
from stacks import bootstrap, names
from stacks.site import host_policies
from stacks.site.settings import HOST_PATH, SETTINGS_SECRET
from tests.control_plane.doctor_context import findings, one
from tests.local_aws.helpers import EVERYTHING, client
from tests.local_aws.role_stacks import ANYBODY_HERE, TRUST, allowing, user
from tests.stacks.builders import ACCOUNT, REGION, site

SITE = site()
EXECUTION = names.cdk_role_arn(ACCOUNT, REGION, "cfn-exec-role").rpartition("/")[2]
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


@pytest.fixture(scope="module")
def engineer(empty: EmbeddedAws) -> tuple[str, str]:
    return user(empty, EVERYTHING)


@pytest.fixture
def place(empty: EmbeddedAws, engineer: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> CheckContext:
    return build_context(empty, engineer, monkeypatch)


def build_context(aws: EmbeddedAws, key: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> CheckContext:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    return CheckContext(site=SITE, session=boto3.Session(*key, region_name=REGION))


def look(place: CheckContext, step: int | None = None) -> tuple[list[checks.CheckFinding], int]:
    lines = list(checks.run_checks(place, step))
    return lines, report.status(lines, step)


def told(lines: list[checks.CheckFinding], *states: State) -> list[str]:
    return [f"{line.check.name}: {line.finding.seen}" for line in lines if line.finding.state in states]


# In the order in which they are written: the account is set up between the first and the second.
def test_an_empty_account_is_ready_for_the_bootstrap_and_for_nothing_after_it(place: CheckContext) -> None:
    lines, status = look(place, 2)
    assert told(lines, State.TO_DO, State.UNKNOWN, State.NOT_YET) == []
    assert status == report.READY
    lines, status = look(place, 3)
    assert status == report.SOMETHING_TO_DO
    assert report.next_step(lines) == 2


@pytest.fixture(scope="module")
def aws(empty: EmbeddedAws, engineer: tuple[str, str]) -> EmbeddedAws:
    """The account with what step 2 makes, and the host's roles."""
    bootstrap.deploy(boto3.Session(*engineer), REGION, SITE.bucket_patterns, endpoint=empty.endpoint)
    client(empty, "ssm").put_parameter(Name=names.cdk_version_parameter(), Value="30", Type="String")
    iam = client(empty, "iam")
    iam.create_role(RoleName=EXECUTION, AssumeRolePolicyDocument=json.dumps(TRUST))
    for arn in bootstrap.execution_arns(ACCOUNT, REGION).split(","):
        iam.attach_role_policy(RoleName=EXECUTION, PolicyArn=arn)
    for name, document in (("cohort-host", host_policies.worker_policy(SITE)), ("cohort-web", host_policies.web_policy(SITE))):
        limit = names.policy_arn(ACCOUNT, REGION, names.HOST_BOUNDARY_NAME)
        iam.create_role(RoleName=name, Path=HOST_PATH, AssumeRolePolicyDocument=json.dumps(ANYBODY_HERE), PermissionsBoundary=limit)
        iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(document))
    return empty


def test_after_the_bootstrap_the_account_is_ready_to_deploy(aws: EmbeddedAws, place: CheckContext) -> None:
    lines, status = look(place, 3)
    assert told(lines, State.TO_DO, State.NOT_YET) == []
    # Of the quotas of EC2 this AWS tells nothing.
    assert [line.check.name for line in lines if line.finding.state is State.UNKNOWN] == ["addresses", "addresses"]
    assert status == report.COULD_NOT_LOOK
    assert report.next_step(look(place)[0]) == 3


def test_the_host_s_roles_may_what_they_need_and_no_more(aws: EmbeddedAws, place: CheckContext) -> None:
    for name in ("worker-rights", "web-rights"):
        assert one(name, place).state is State.OK, one(name, place)


def test_an_older_policy_is_named_until_it_is_renewed(aws: EmbeddedAws, place: CheckContext) -> None:
    iam, arn = client(aws, "iam"), names.policy_arn(ACCOUNT, REGION, names.HOST_BOUNDARY_NAME)
    made = bootstrap.host_boundary(ACCOUNT, REGION)
    older = {**made, "Statement": made["Statement"][1:]}
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(older), SetAsDefault=True)
    lines, status = look(place, 6)
    assert any(seen.startswith("policies: cohort-host-boundary (v2)") for seen in told(lines, State.TO_DO))
    assert status == report.SOMETHING_TO_DO
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(made), SetAsDefault=True)
    assert one("policies", place).state is State.OK


def test_cloudformation_as_an_administrator_is_said_with_what_it_then_may(aws: EmbeddedAws, place: CheckContext) -> None:
    iam, own = client(aws, "iam"), bootstrap.execution_arns(ACCOUNT, REGION).split(",")
    # As a bootstrap without the option leaves it.
    iam.attach_role_policy(RoleName=EXECUTION, PolicyArn=ADMINISTRATOR)
    for arn in own:
        iam.detach_role_policy(RoleName=EXECUTION, PolicyArn=arn)
    more, lacking = findings("execution-role", place)
    assert "AdministratorAccess" in more.seen
    assert "cohort-execution" in lacking.seen
    assert "iam:CreatePolicyVersion (another boundary)" in one("execution-rights", place).seen
    for arn in own:
        iam.attach_role_policy(RoleName=EXECUTION, PolicyArn=arn)
    iam.detach_role_policy(RoleName=EXECUTION, PolicyArn=ADMINISTRATOR)
    assert one("execution-role", place).state is State.OK


def test_a_policy_that_cloudformation_lacks_is_named_with_what_it_then_may_not(aws: EmbeddedAws, place: CheckContext) -> None:
    iam, arn = client(aws, "iam"), names.policy_arn(ACCOUNT, REGION, "cohort-execution-data")
    iam.detach_role_policy(RoleName=EXECUTION, PolicyArn=arn)
    assert one("execution-role", place).seen == "lacks cohort-execution-data"
    assert "kms:CreateKey (the backups' key)" in one("execution-rights", place).seen
    iam.attach_role_policy(RoleName=EXECUTION, PolicyArn=arn)


def test_a_worker_that_may_use_another_bootstrap_is_said(aws: EmbeddedAws, place: CheckContext) -> None:
    iam, role = client(aws, "iam"), "cohort-host"
    boundary = names.policy_arn(ACCOUNT, REGION, names.HOST_BOUNDARY_NAME)
    wide = allowing("sts:AssumeRole", resource=f"arn:aws:iam::{ACCOUNT}:role/cdk-*-deploy-role-*")
    iam.put_role_policy(RoleName=role, PolicyName="wide", PolicyDocument=json.dumps(wide))
    # Its boundary holds it back, as long as that is there.
    assert one("worker-rights", place).state is State.OK
    iam.delete_role_permissions_boundary(RoleName=role)
    assert "another CDK bootstrap's role" in one("worker-rights", place).seen
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
    iam.delete_role_policy(RoleName=role, PolicyName="wide")


def test_the_worker_s_own_rights_are_not_widened_for_looking(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    place = build_context(aws, user(aws, host_policies.worker_policy(SITE)), monkeypatch)
    assert one("cdk", place).state is State.OK
    assert one("quotas", place).state is State.OK
    hidden = [finding.state for finding in findings("policies", place)]
    assert hidden == [State.UNKNOWN, State.OK]
    for name in ("execution-role", "execution-rights", "worker-rights", "zones"):
        assert one(name, place).state is State.UNKNOWN, name


def test_looking_changes_nothing(aws: EmbeddedAws, engineer: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    client(aws, "secretsmanager").create_secret(Name=SETTINGS_SECRET, SecretString=json.dumps({"SECRET_KEY": "k" * 50}))
    called: list[str] = []
    place = build_context(aws, engineer, monkeypatch)

    def note(model: Any, **_: Any) -> None:
        called.append(model.name)

    place.session.events.register("before-call", note)
    look(place)
    assert "SimulatePrincipalPolicy" in called
    assert [name for name in called if not name.startswith(("Describe", "Get", "List", "Simulate"))] == []

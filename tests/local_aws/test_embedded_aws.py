"""The embedded AWS: what Cohort relies on, as AWS itself does it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws.server import DidNotStart, EmbeddedAws, free_port
from tests.control_plane.processes import is_alive, wait_until
from tests.local_aws.helpers import ACCOUNT, EVERYTHING, S3_ONLY, client, deploy, held_key, key_holder, works

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def test_a_user_in_a_group_gets_a_key_that_works(aws: EmbeddedAws) -> None:
    assert deploy(aws, "ada", key_holder("ada"))["StackStatus"] == "CREATE_COMPLETE"
    assert [user["UserName"] for user in client(aws, "iam").get_group(GroupName="ada-group")["Users"]] == ["ada"]
    assert works(aws, held_key(aws, "ada"))


def test_another_serial_is_another_key_and_the_old_one_stops(aws: EmbeddedAws) -> None:
    deploy(aws, "grace", key_holder("grace"))
    old = held_key(aws, "grace")
    assert deploy(aws, "grace", key_holder("grace", serial=2))["StackStatus"] == "UPDATE_COMPLETE"
    new = held_key(aws, "grace")
    assert new[0] != old[0]
    assert works(aws, new)
    assert not works(aws, old)


def test_a_key_stops_with_its_stack_and_its_names_are_free_again(aws: EmbeddedAws) -> None:
    deploy(aws, "lise", key_holder("lise"))
    key = held_key(aws, "lise")
    client(aws, "cloudformation").delete_stack(StackName="lise")
    assert not works(aws, key)
    assert deploy(aws, "lise", key_holder("lise"))["StackStatus"] == "CREATE_COMPLETE"


def test_a_group_s_policies_follow_its_template(aws: EmbeddedAws) -> None:
    policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"ManagedPolicyName": "t-s3", "PolicyDocument": S3_ONLY}}
    group = {"Type": "AWS::IAM::Group", "Properties": {"GroupName": "t-group", "ManagedPolicyArns": [{"Ref": "Policy"}]}}
    deploy(aws, "policies", {"Policy": policy, "Group": group})
    iam = client(aws, "iam")
    assert [item["PolicyName"] for item in iam.list_attached_group_policies(GroupName="t-group")["AttachedPolicies"]] == ["t-s3"]
    bare = {"Type": "AWS::IAM::Group", "Properties": {"GroupName": "t-group"}}
    deploy(aws, "policies", {"Policy": policy, "Group": bare})
    assert iam.list_attached_group_policies(GroupName="t-group")["AttachedPolicies"] == []


def test_users_are_put_into_a_group_and_taken_out_by_an_addition(aws: EmbeddedAws) -> None:
    users = {name: {"Type": "AWS::IAM::User", "Properties": {"UserName": name}} for name in ("emmy", "marie")}
    group = {"Type": "AWS::IAM::Group", "Properties": {"GroupName": "addition-group"}}

    def addition(*members: str) -> dict[str, Any]:
        return {
            "Type": "AWS::IAM::UserToGroupAddition",
            "Properties": {"GroupName": {"Ref": "Group"}, "Users": [{"Ref": member} for member in members]},
        }

    def inside() -> set[str]:
        return {user["UserName"] for user in client(aws, "iam").get_group(GroupName="addition-group")["Users"]}

    deploy(aws, "addition", {**users, "Group": group, "Addition": addition("emmy")})
    assert inside() == {"emmy"}
    deploy(aws, "addition", {**users, "Group": group, "Addition": addition("marie")})
    assert inside() == {"marie"}


def test_what_cannot_be_made_rolls_back_with_its_reason(aws: EmbeddedAws) -> None:
    resources = key_holder("broken", PermissionsBoundary="arn:aws:iam::111122223333:policy/not-there")
    assert deploy(aws, "broken", resources)["StackStatus"] == "ROLLBACK_COMPLETE"
    events = client(aws, "cloudformation").describe_stack_events(StackName="broken")["StackEvents"]
    assert any("not-there" in event.get("ResourceStatusReason", "") for event in events)
    assert "broken" not in {user["UserName"] for user in client(aws, "iam").list_users()["Users"]}


def test_a_boundary_binds_users_and_roles_whatever_else_they_are_given(aws: EmbeddedAws) -> None:
    boundary = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"ManagedPolicyName": "t-boundary", "PolicyDocument": S3_ONLY}}
    within: dict[str, Any] = {
        "PermissionsBoundary": {"Ref": "Boundary"},
        "Policies": [{"PolicyName": "all", "PolicyDocument": EVERYTHING}],
    }
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}],
    }
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "t-bound", "AssumeRolePolicyDocument": trust, **within}}
    deploy(aws, "bound", {"Boundary": boundary, "Role": role, **key_holder("bound", **within)})
    session = client(aws, "sts").assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/t-bound", RoleSessionName="someone")[
        "Credentials"
    ]
    for key in (held_key(aws, "bound"), (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])):
        client(aws, "s3", *key).list_buckets()
        with pytest.raises(ClientError, match="AccessDenied"):
            client(aws, "iam", *key).list_users()


def test_a_running_session_is_ended_by_a_denial_of_its_name_or_its_age(aws: EmbeddedAws) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}],
    }

    def role(*denials: dict[str, Any]) -> dict[str, Any]:
        statements = [
            *S3_ONLY["Statement"],
            *({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": denial} for denial in denials),
        ]
        document = {"Version": "2012-10-17", "Statement": statements}
        properties = {
            "RoleName": "t-ended",
            "AssumeRolePolicyDocument": trust,
            "Policies": [{"PolicyName": "p", "PolicyDocument": document}],
        }
        return {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}

    deploy(aws, "ended", role())
    arn = f"arn:aws:iam::{ACCOUNT}:role/t-ended"
    issued = [client(aws, "sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"] for name in ("ada", "grace")]
    ada, grace = (
        client(aws, "s3", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]) for session in issued
    )
    ada.list_buckets()
    deploy(aws, "ended", role({"StringLike": {"aws:userid": ["*:ada"]}}))
    grace.list_buckets()
    with pytest.raises(ClientError, match="AccessDenied"):
        ada.list_buckets()
    before = {"DateLessThan": {"aws:TokenIssueTime": "2099-01-01T00:00:00Z"}}
    deploy(aws, "ended", role({"StringLike": {"aws:userid": ["*:ada"]}} | before))
    grace.list_buckets()
    with pytest.raises(ClientError, match="AccessDenied"):
        ada.list_buckets()
    deploy(
        aws,
        "ended",
        role({"StringLike": {"aws:userid": ["*:ada"]}, "DateLessThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}),
    )
    ada.list_buckets()
    deploy(aws, "ended", role(before))
    with pytest.raises(ClientError, match="AccessDenied"):
        grace.list_buckets()


def test_a_change_set_of_outputs_alone_is_executed(aws: EmbeddedAws) -> None:
    resources = {"User": {"Type": "AWS::IAM::User", "Properties": {"UserName": "outputs"}}}
    deploy(aws, "outputs", resources, {"Generation": {"Value": "1"}})
    cloudformation = client(aws, "cloudformation")
    body = json.dumps({"Resources": resources, "Outputs": {"Generation": {"Value": "2"}}})
    names = {"StackName": "outputs", "ChangeSetName": "only-outputs"}
    cloudformation.create_change_set(TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"], **names)
    assert cloudformation.describe_change_set(**names)["ExecutionStatus"] == "AVAILABLE"
    cloudformation.execute_change_set(**names)
    cloudformation.get_waiter("stack_update_complete").wait(StackName="outputs", WaiterConfig={"Delay": 1})
    (stack,) = cloudformation.describe_stacks(StackName="outputs")["Stacks"]
    assert stack["Outputs"][0]["OutputValue"] == "2"
    names["ChangeSetName"] = "nothing"
    cloudformation.create_change_set(TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"], **names)
    assert cloudformation.describe_change_set(**names)["Status"] == "FAILED"


def test_state_outlives_a_clean_stop_and_most_of_it_a_power_cut(tmp_path: Path) -> None:
    port = free_port()
    with EmbeddedAws(port, tmp_path) as first:
        deploy(first, "kept", key_holder("kept"))
        client(first, "s3").create_bucket(Bucket="kept-bucket")
        client(first, "s3").put_object(Bucket="kept-bucket", Key="x", Body=b"kept")
        key = held_key(first, "kept")
    second = EmbeddedAws(port, tmp_path)
    second.start()
    assert works(second, key)
    assert client(second, "s3").get_object(Bucket="kept-bucket", Key="x")["Body"].read() == b"kept"
    assert client(second, "cloudformation").describe_stacks(StackName="kept")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    client(second, "iam").create_user(UserName="late")
    saved = tmp_path / "services/iam.json"
    for _ in range(100):
        if "late" in saved.read_text():
            break
        time.sleep(0.1)
    second.kill()
    with EmbeddedAws(port, tmp_path) as third:
        assert client(third, "iam").get_user(UserName="late")


def test_a_stack_is_found_by_what_it_holds_in_its_own_region(aws: EmbeddedAws) -> None:
    """CloudFormation API reference, DescribeStackResources: PhysicalResourceId, in place of the stack's name."""
    deploy(aws, "held", key_holder("held"))
    found = client(aws, "cloudformation").describe_stack_resources(PhysicalResourceId="held-group")["StackResources"]
    assert {stack["StackName"] for stack in found} == {"held"}
    elsewhere = boto3.client(
        "cloudformation",
        endpoint_url=aws.endpoint,
        region_name="eu-west-1",
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="root",
    )
    with pytest.raises(ClientError, match="Stack for held-group does not exist") as refused:
        elsewhere.describe_stack_resources(PhysicalResourceId="held-group")
    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_a_port_in_use_is_one_clear_message(aws: EmbeddedAws, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local_aws", "--port", str(aws.port), "--state", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert f"port {aws.port} is in use" in done.stderr
    assert "AWS_PORT" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_second_one_at_a_port_does_not_take_the_first_one_s_answer_for_its_own(aws: EmbeddedAws, tmp_path: Path) -> None:
    with pytest.raises(DidNotStart, match=f"port {aws.port} is in use"), EmbeddedAws(aws.port, tmp_path):
        pass
    assert aws.is_alive


def test_it_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    starts = "import sys, pathlib, local_aws.server as s; a = s.EmbeddedAws(s.free_port(), pathlib.Path(sys.argv[1])); a.start(); "
    starter = [sys.executable, "-c", starts + "print(a.pid, flush=True); sys.stdin.read()", str(tmp_path)]
    with subprocess.Popen(starter, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        process.kill()
    wait_until(lambda: not is_alive(pid), 30)


def test_it_listens_on_loopback_alone(aws: EmbeddedAws) -> None:
    assert aws.pid is not None
    descriptors = Path(f"/proc/{aws.pid}/fd")
    sockets = {
        link.readlink().name.removeprefix("socket:[").removesuffix("]")
        for link in descriptors.iterdir()
        if "socket" in str(link.readlink())
    }
    listening = [
        fields[1]
        for table in ("tcp", "tcp6")
        for fields in (line.split() for line in Path(f"/proc/{aws.pid}/net/{table}").read_text().splitlines()[1:])
        if fields[3] == "0A" and fields[9] in sockets
    ]
    assert listening == [f"0100007F:{aws.port:04X}"]

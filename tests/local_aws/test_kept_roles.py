"""Who may give CloudFormation a role, and how long a stack keeps it.

CloudFormation user guide, "AWS CloudFormation service role"
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html), and each action's RoleARN.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import ACCOUNT, EVERYTHING, body_of, client, ended
from tests.local_aws.role_stacks import all_but, allowing, delete, deploy, give, reasons, role, user
from tests.local_aws.test_nested import BUCKET, group, in_group, nested
from tests.local_aws.test_nested import user as in_it

USERS = "AWS::IAM::User"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        client(running, "s3").create_bucket(Bucket=BUCKET)
        yield running


def person(name: str) -> dict[str, Any]:
    return {"Ada": {"Type": USERS, "Properties": {"UserName": name}}}


def passing(arn: str, **condition: Any) -> dict[str, Any]:
    policy = allowing("cloudformation:*")
    policy["Statement"] += allowing("iam:PassRole", resource=arn, **condition)["Statement"]
    return policy


def refused(error: ClientError) -> tuple[str, int, str]:
    answer: Any = error.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


@pytest.mark.parametrize("action", ["create_stack", "update_stack", "create_change_set", "delete_stack"])
def test_a_role_is_passed_by_who_may_alone(aws: EmbeddedAws, action: str) -> None:
    """IAM user guide, "Grant a user permissions to pass a role to an AWS service"; AWS's words: aws/aws-cdk-cli issue 1449."""
    arn, name = role(aws, EVERYTHING), f"pass-{action.replace('_', '-')}"
    if action != "create_stack":
        deploy(aws, name, person(f"ada-{action}"))
    request: dict[str, Any] = {"StackName": name}
    if action != "delete_stack":
        request |= {"TemplateBody": body_of(person(f"grace-{action}")), "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    if action == "create_change_set":
        request |= {"ChangeSetName": "one"}
    key = user(aws, passing("arn:aws:iam::111122223333:role/another"))
    with pytest.raises(ClientError) as caught:
        getattr(client(aws, "cloudformation", *key), action)(**request, RoleARN=arn)
    code, status, message = refused(caught.value)
    assert (code, status) == ("AccessDenied", 403)
    refusal = "because no identity-based policy allows the iam:PassRole action"
    assert message.endswith(f"is not authorized to perform: iam:PassRole on resource: {arn} {refusal}")
    allowed = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    getattr(client(aws, "cloudformation", *user(aws, passing(arn, Condition=allowed))), action)(**request, RoleARN=arn)


def test_a_role_that_may_be_passed_to_another_service_alone_is_refused(aws: EmbeddedAws) -> None:
    arn = role(aws, EVERYTHING)
    key = user(aws, passing(arn, Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}))
    with pytest.raises(ClientError, match="iam:PassRole"):
        deploy(aws, "to-another", person("ada-to-another"), arn, key)


def test_a_role_that_does_not_trust_cloudformation_cannot_be_given(aws: EmbeddedAws) -> None:
    iam = client(aws, "iam")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    arn = iam.create_role(RoleName="of-machines", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    for item in (arn, f"arn:aws:iam::{ACCOUNT}:role/nobody"):
        with pytest.raises(ClientError) as caught:
            deploy(aws, "untrusting", person("ada-untrusting"), item)
        assert refused(caught.value) == ("ValidationError", 400, f"Role {item} is invalid or cannot be assumed")


def test_a_stack_keeps_its_role_for_operations_that_name_none(aws: EmbeddedAws) -> None:
    arn = role(aws, all_but("iam:TagUser"))
    deploy(aws, "keeps", person("ada-keeps"), arn)
    (stack,) = client(aws, "cloudformation").describe_stacks(StackName="keeps")["Stacks"]
    assert stack["RoleARN"] == arn
    tagged = {"Ada": {"Type": USERS, "Properties": {"UserName": "ada-keeps", "Tags": [{"Key": "one", "Value": "1"}]}}}
    # As the account itself, which may do everything: the role decides all the same.
    assert deploy(aws, "keeps", tagged)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "iam:TagUser" in reasons(aws, "keeps")["Ada"]
    # Somebody who may do nothing but use stacks needs no right of their own either.
    give(aws, arn, EVERYTHING)
    assert delete(aws, "keeps", user(aws, allowing("cloudformation:*")))["StackStatus"] == "DELETE_COMPLETE"


def test_another_role_takes_the_place_of_the_kept_one(aws: EmbeddedAws) -> None:
    deploy(aws, "takes-over", person("ada-takes-over"), role(aws, EVERYTHING))
    assert delete(aws, "takes-over", RoleARN=role(aws, all_but("iam:DeleteUser")))["StackStatus"] == "DELETE_FAILED"
    assert delete(aws, "takes-over")["StackStatus"] == "DELETE_FAILED"
    assert delete(aws, "takes-over", RoleARN=role(aws, EVERYTHING))["StackStatus"] == "DELETE_COMPLETE"


def test_a_change_set_brings_its_role_along_when_it_is_executed(aws: EmbeddedAws) -> None:
    deploy(aws, "by-change-set", person("ada-by-change-set"))
    arn = role(aws, all_but("iam:CreateUser"))
    cloudformation = client(aws, "cloudformation")
    further = {**person("ada-by-change-set"), "Grace": {"Type": USERS, "Properties": {"UserName": "grace-by-change-set"}}}
    cloudformation.create_change_set(
        StackName="by-change-set",
        ChangeSetName="one",
        TemplateBody=body_of(further),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        RoleARN=arn,
    )
    assert "RoleARN" not in cloudformation.describe_stacks(StackName="by-change-set")["Stacks"][0]
    cloudformation.execute_change_set(StackName="by-change-set", ChangeSetName="one")
    assert ended(aws, "by-change-set")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "iam:CreateUser" in reasons(aws, "by-change-set")["Grace"]


def test_a_stack_whose_role_is_gone_can_be_deleted_with_another_alone(aws: EmbeddedAws) -> None:
    arn = role(aws, EVERYTHING)
    deploy(aws, "orphan", person("ada-orphan"), arn)
    client(aws, "iam").delete_role_policy(RoleName=arn.rpartition("/")[2], PolicyName="rights")
    client(aws, "iam").delete_role(RoleName=arn.rpartition("/")[2])
    with pytest.raises(ClientError, match="is invalid or cannot be assumed"):
        delete(aws, "orphan")
    assert delete(aws, "orphan", RoleARN=role(aws, EVERYTHING))["StackStatus"] == "DELETE_COMPLETE"


def test_a_parameter_s_value_is_read_by_the_role(aws: EmbeddedAws) -> None:
    """AWS's words: aws/aws-cdk issue 20959.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-supplied-parameter-types.html
    """
    client(aws, "ssm").put_parameter(Name="/ours/name", Value="ada-by-parameter", Type="String")
    ours = {"Parameters": {"name": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/ours/name"}}}
    template = json.dumps({**ours, "Resources": {"Ada": {"Type": USERS, "Properties": {"UserName": {"Ref": "name"}}}}})
    request = {"StackName": "by-parameter", "TemplateBody": template, "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    with pytest.raises(ClientError) as caught:
        client(aws, "cloudformation").create_stack(**request, RoleARN=role(aws, all_but("ssm:GetParameters")))
    assert refused(caught.value) == ("ValidationError", 400, "AccessDenied. User doesn't have permission to call ssm:GetParameters")
    client(aws, "cloudformation").create_stack(**request, RoleARN=role(aws, EVERYTHING))
    assert ended(aws, "by-parameter")["StackStatus"] == "CREATE_COMPLETE"


def test_a_nested_stack_is_refused_to_a_role_that_may_not_pass_itself(aws: EmbeddedAws) -> None:
    """Registry schema of AWS::CloudFormation::Stack; AWS's words: data-lakes-on-aws issue 275."""
    arn = role(aws, all_but("iam:PassRole"))
    resources = {"Group": group("unpassed"), "More": nested(aws, "unpassed", {"A": in_it("ada-unpassed")})}
    assert deploy(aws, "Group-unpassed", resources, arn)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = reasons(aws, "Group-unpassed")["More"]
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{arn.rpartition('/')[2]}/AWSCloudFormation"
    assert reason == (
        f"API: cloudFormation User: {session} is not authorized to perform: iam:PassRole on resource: {arn} "
        "because no identity-based policy allows the iam:PassRole action"
    )


def test_a_nested_stack_s_template_is_read_by_the_role(aws: EmbeddedAws) -> None:
    arn = role(aws, all_but("s3:GetObject"))
    resources = {"Group": group("unread"), "More": nested(aws, "unread", {"A": in_it("ada-unread")})}
    assert deploy(aws, "Group-unread", resources, arn)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reasons(aws, "Group-unread")["More"].startswith("S3 error: Access Denied\nFor more information check http://docs.aws")


def test_a_nested_stack_is_made_changed_and_removed_by_the_role_of_the_stack_that_holds_it(aws: EmbeddedAws) -> None:
    arn = role(aws, EVERYTHING)

    def holding(key: str, **people: str) -> dict[str, Any]:
        return {"Group": group("inner-role"), "More": nested(aws, key, {part: in_it(name) for part, name in people.items()})}

    deploy(aws, "Group-inner-role", holding("inner-one", A="ada-inner"), arn)
    give(aws, arn, all_but("iam:CreateUser"))
    ended = deploy(aws, "Group-inner-role", holding("inner-two", A="ada-inner", B="grace-inner"))
    assert ended["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert in_group(aws, "inner-role") == {"ada-inner"}
    give(aws, arn, all_but("iam:DeleteUser"))
    assert delete(aws, "Group-inner-role")["StackStatus"] == "DELETE_FAILED"
    assert (
        "was not successfully deleted: The following resource(s) failed to delete: [A]." in reasons(aws, "Group-inner-role")["More"]
    )
    assert in_group(aws, "inner-role") == {"ada-inner"}
    give(aws, arn, EVERYTHING)
    assert delete(aws, "Group-inner-role")["StackStatus"] == "DELETE_COMPLETE"
    assert "ada-inner" not in {user["UserName"] for user in client(aws, "iam").list_users()["Users"]}

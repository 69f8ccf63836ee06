"""The role that the worker deploys with, as plain data: CDK's own deploy role, for the stacks of groups and analyses alone.

CloudFormation changes a stack as the role that it was last given, whoever asks (its user guide, "CloudFormation service role"), and
CDK's deploy role may change every stack of the account and region. Whoever took the worker over could so change a stack that an
administrator's role deployed. This one may change none but ours.
"""

from typing import Any

from stacks import names
from stacks.site._arns import Arns
from stacks.site.host_policies import WORKERS_STACKS, Document, allow

# As CDK's own bootstrap has them for its deploy role (bootstrap template, version 33), where a stack of ours needs them.
CHANGE_ACTIONS = (
    *("ContinueUpdateRollback", "CreateChangeSet", "CreateStack", "DeleteChangeSet", "DeleteStack", "ExecuteChangeSet"),
    *("RollbackStack", "UpdateStack", "UpdateTerminationProtection"),
)
DEPLOY_POLICY = "deploy"
READ_ACTIONS = ("Describe*", "Get*", "List*")


def deploy_role(account: str, region: str) -> dict[str, Any]:
    """Return the role's properties in CloudFormation. As CDK's roles, it trusts its account: whoever a policy lets assume it."""
    root = f"arn:{names.partition(region)}:iam::{account}:root"
    trust = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}
    return {
        "RoleName": names.DEPLOY_ROLE,
        "Description": "The worker of Cohort deploys groups and analyses with it",
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [{"PolicyName": DEPLOY_POLICY, "PolicyDocument": deploy_policy(account, region)}],
    }


def deploy_policy(account: str, region: str) -> Document:
    """Return the role's policy: change our stacks as our CloudFormation role, and read templates that lie in a bucket."""
    own = Arns(account, region)
    stacks = own.regional("cloudformation", *(f"stack/{name}/*" for name in WORKERS_STACKS))
    to_cloudformation = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    assets = names.cdk_assets(account, region)
    statements = [
        allow("Stacks", [f"cloudformation:{action}" for action in (*CHANGE_ACTIONS, *READ_ACTIONS)], stacks),
        allow("PassToCloudFormation", "iam:PassRole", own.role) | {"Condition": to_cloudformation},
        allow("Templates", ["s3:GetBucket*", "s3:GetObject*", "s3:List*"], own.buckets(assets, f"{assets}/*")),
        # CloudFormation reads the parameter too when it makes a change set, in the name of whoever asks for that.
        allow(
            "Version", ["ssm:GetParameter", "ssm:GetParameters"], own.regional("ssm", f"parameter{names.cdk_version_parameter()}")
        ),
    ]
    return {"Version": "2012-10-17", "Statement": statements}

"""`python -m stacks.bootstrap template|deploy`: the stack `Cohort-Bootstrap`, which bounds everything else.

It holds the policies that bound, and the role that deploys groups and analyses. The account's administrator deploys it with their
own rights, before `cdk bootstrap`. It is no CDK stack, since CloudFormation's role for those may not change it: a boundary that
the bounded can redraw is none.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from stacks import environment, names, policies
from stacks.env_file import EnvFileError
from stacks.site.deploy_role import deploy_role
from stacks.site.execution import execution_policies
from stacks.site.host_policies import DEFAULT_PATTERNS, Document, Statement, allow, control_plane_statements, host_statements
from stacks.site.policy_holders import explain_holder, find_policy_holder
from stacks.site.settings import SITE_FILE, SiteError, read_site
from stacks.tags import OWN_TAGS

DESCRIPTION = "What bounds everything of Cohort: deployed by the account's administrator, never by CDK"
POLL_SECONDS = 2.0
DEPLOY_SECONDS = 600.0
NOTHING_TO_CHANGE = "No updates are to be performed"
# Characters of the patterns of bucket names that the host's boundary has room for, once for buckets and once for objects.
MAX_PATTERN_CHARACTERS = 60
# What the host's roles never do to a backup or to another of the site's own buckets, whatever they or its policy are given.
NEVER_ON_BACKUPS = (
    *("s3:BypassGovernanceRetention", "s3:DeleteBucket*", "s3:DeleteObject*", "s3:PutBucket*", "s3:PutLifecycleConfiguration"),
    *("s3:PutObjectLegalHold", "s3:PutObjectRetention", "s3:PutReplicationConfiguration"),
)


class BootstrapFailed(RuntimeError):
    """Cohort-Bootstrap was not deployed. The message says why, what was changed, and what to do."""


def host_boundary(account: str, region: str, patterns: Sequence[str] = DEFAULT_PATTERNS) -> Document:
    """Return the boundary of the host's roles: the union of what the worker, the web process and AWS Backup need."""
    # Names that would fill the policy are left to the roles' own policies to say.
    buckets = patterns if sum(map(len, patterns)) <= MAX_PATTERN_CHARACTERS else ("*",)
    allowed = [*control_plane_statements(account, region, buckets), *host_statements(account, region), *_snapshots(account, region)]
    never = [f"arn:{names.partition(region)}:s3:::{prefix}*" for prefix in (*names.OWN_BUCKET_PREFIXES, "cdk-")]
    statements = _merge_statements([*(statement for statement in allowed if statement["Effect"] == "Allow"), _managed_keys()])
    statements.append({"Effect": "Deny", "Action": list(NEVER_ON_BACKUPS), "Resource": never})
    # A resource's own policy may give what a boundary does not name; a denial holds against that too.
    key_actions = ["kms:Disable*", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"]
    statements.append({"Effect": "Deny", "Action": [*key_actions, "backup:Delete*"], "Resource": "*"})
    return {"Version": "2012-10-17", "Statement": statements}


def policy_documents(account: str, region: str, patterns: Sequence[str]) -> dict[str, Document]:
    """Return every managed policy of the stack by its name. Raises NameRefused or PolicyTooLarge."""
    names.check_bucket_patterns(patterns)
    made = {
        names.BOUNDARY_NAME: policies.boundary(patterns, region),
        names.HOST_BOUNDARY_NAME: host_boundary(account, region, patterns),
        **execution_policies(account, region, patterns),
    }
    for name, document in made.items():
        if policies.size(document) > policies.POLICY_CHARACTERS:
            raise policies.PolicyTooLarge(
                f"{name} would have {policies.size(document)} characters; IAM allows {policies.POLICY_CHARACTERS}. "
                "Use fewer or shorter patterns of bucket names."
            )
    return made


def template(account: str, region: str, patterns: Sequence[str]) -> dict[str, Any]:
    """Return the template of Cohort-Bootstrap. Raises NameRefused or PolicyTooLarge."""
    resources = {
        _logical_id(name): {
            "Type": "AWS::IAM::ManagedPolicy",
            # Deleting the stack by mistake must not unbind anybody; what is in use could not be deleted in any case.
            "DeletionPolicy": "Delete",
            "Properties": {"ManagedPolicyName": name, "Description": DESCRIPTIONS[name], "PolicyDocument": document},
        }
        for name, document in policy_documents(account, region, patterns).items()
    }
    resources["DeployRole"] = {"Type": "AWS::IAM::Role", "DeletionPolicy": "Delete", "Properties": deploy_role(account, region)}
    return {"AWSTemplateFormatVersion": "2010-09-09", "Description": DESCRIPTION, "Resources": resources}


def deploy(session: boto3.Session, region: str, patterns: Sequence[str], *, endpoint: str | None = None) -> bool:
    """Create or update Cohort-Bootstrap, and return whether anything changed. Raises BootstrapFailed, NameRefused."""
    client = session.client("cloudformation", region_name=region, endpoint_url=endpoint)
    try:
        account = session.client("sts", region_name=region, endpoint_url=endpoint).get_caller_identity()["Account"]
        body = json.dumps(template(account, region, patterns), separators=(",", ":"))
        exists = _describe_stack(client) is not None
        request: dict[str, Any] = {
            "StackName": names.BOOTSTRAP_STACK,
            "TemplateBody": body,
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
            "Tags": [{"Key": key, "Value": value} for key, value in OWN_TAGS.items()],
        }
        if not exists and (holder := find_policy_holder(session, account, region, endpoint)):
            raise BootstrapFailed(f"{explain_holder(holder)} Nothing was changed.")
        if exists and _template_body(client) == json.loads(body):
            return False
        if exists:
            client.update_stack(**request)
        else:
            client.create_stack(**request, EnableTerminationProtection=True)
        _wait(client)
    except ClientError as error:
        if NOTHING_TO_CHANGE in str(error):
            return False
        raise BootstrapFailed(f"AWS refused {names.BOOTSTRAP_STACK}: {error}. Nothing was changed.") from error
    except BotoCoreError as error:
        raise BootstrapFailed(f"AWS could not be asked: {error}. Check AWS_PROFILE and AWS_REGION, then run it again.") from error
    return True


def execution_arns(account: str, region: str) -> str:
    """Return the ARNs of the execution policies as `cdk bootstrap` takes them."""
    return ",".join(names.policy_arn(account, region, name) for name in names.EXECUTION_NAMES)


def next_command(account: str, region: str) -> str:
    """Return the command to run after this one."""
    return f"cdk bootstrap aws://{account}/{region} \\\n  --cloudformation-execution-policies {execution_arns(account, region)}"


# IAM cannot change a policy's description, and CloudFormation cannot replace a policy that has a name (its template reference,
# AWS::IAM::ManagedPolicy): another word here, and no site could be brought up to date. Never reword them.
DESCRIPTIONS = {
    names.BOUNDARY_NAME: "The most that any principal of any group can ever do: S3 on the analysis buckets",
    names.HOST_BOUNDARY_NAME: "The most that any role of the host of Cohort can ever do",
    names.EXECUTION_NAMES[0]: "CloudFormation for Cohort: what it never does, and principals within the boundaries",
    names.EXECUTION_NAMES[1]: "CloudFormation for Cohort: buckets, secrets, backups and alarms",
    names.EXECUTION_NAMES[2]: "CloudFormation for Cohort: the network and the machine",
}


def _snapshots(account: str, region: str) -> list[dict[str, Any]]:
    """Return the statements that AWS Backup's role needs (see stacks.site.backup_stack)."""
    ec2 = f"arn:{names.partition(region)}:ec2:{region}:"
    snapshots = f"{ec2}:snapshot/*"
    here = f"{region}:{account}:"
    return [
        allow("", ["ec2:DescribeSnapshots", "ec2:DescribeTags", "tag:GetResources"], "*"),
        allow("", "ec2:CreateSnapshot", f"{ec2}{account}:volume/*")
        | {"Condition": {"StringEquals": {"aws:ResourceTag/backup": "cohort"}}},
        allow("", ["ec2:CreateSnapshot", "ec2:CreateTags"], snapshots),
        allow("", "ec2:DeleteSnapshot", snapshots)
        | {"Condition": {"Null": {"aws:ResourceTag/aws:backup:source-resource": "false"}}},
        allow(
            "",
            ["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"],
            f"arn:{names.partition(region)}:backup:{here}backup-vault:cohort*",
        ),
        allow("", ["kms:CreateGrant", "kms:DescribeKey"], f"arn:{names.partition(region)}:kms:{here}key/*")
        | {"Condition": {"BoolIfExists": {"kms:GrantIsForAWSResource": "true"}}},
    ]


def _managed_keys() -> Statement:
    """Return the statement for keys that AWS manages, such as `aws/secretsmanager`.

    Their own policies give these actions to everybody in the account, by way of those services, and nothing else. No document says
    whether a boundary cuts what such a key's policy gives.
    """
    used = ["kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    return allow("", used, "*") | {"Condition": {"StringLike": {"kms:ViaService": ["ec2.*", "s3.*", "secretsmanager.*"]}}}


def _merge_statements(statements: Sequence[Statement]) -> list[Statement]:
    """Merge statements into fewer characters, without Sids: one for the same resources, then one for the same actions."""
    for same, united in (("Resource", "Action"), ("Action", "Resource")):
        groups: dict[str, Statement] = {}
        for statement in statements:
            kept = {
                "Effect": statement["Effect"],
                same: statement[same],
                **({"Condition": statement["Condition"]} if "Condition" in statement else {}),
            }
            merged = groups.setdefault(json.dumps(kept, sort_keys=True), {**kept, united: []})
            merged[united] = sorted({*merged[united], *_as_list(statement[united])})
        statements = [
            {**group, united: group[united][0] if len(group[united]) == 1 else group[united]} for group in groups.values()
        ]
    return list(statements)


def _as_list(words: str | list[str]) -> list[str]:
    return [words] if isinstance(words, str) else words


def _logical_id(name: str) -> str:
    return "".join(word.title() for word in name.removeprefix("cohort-").split("-"))


def _describe_stack(client: Any) -> dict[str, Any] | None:
    try:
        (stack,) = client.describe_stacks(StackName=names.BOOTSTRAP_STACK)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    if stack["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"):
        raise BootstrapFailed(
            f"{names.BOOTSTRAP_STACK} could not be made before ({stack['StackStatus']}). Delete it (aws cloudformation "
            f"delete-stack --stack-name {names.BOOTSTRAP_STACK}; its termination protection first), then run this again."
        )
    return dict(stack)


def _template_body(client: Any) -> Any:
    body = client.get_template(StackName=names.BOOTSTRAP_STACK, TemplateStage="Original")["TemplateBody"]
    return json.loads(body) if isinstance(body, str) else body


def _wait(client: Any) -> None:
    deadline, pause = time.monotonic() + DEPLOY_SECONDS, 0.05
    while time.monotonic() < deadline:
        (stack,) = client.describe_stacks(StackName=names.BOOTSTRAP_STACK)["Stacks"]
        state = stack["StackStatus"]
        if state in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return
        if not state.endswith("IN_PROGRESS"):
            raise BootstrapFailed(_failure_reason(client, state))
        time.sleep(pause)
        pause = min(2 * pause, POLL_SECONDS)
    raise BootstrapFailed(f"{names.BOOTSTRAP_STACK} is still {state} after {DEPLOY_SECONDS:.0f} s. Look at it in the console.")


def _failure_reason(client: Any, state: str) -> str:
    """Return the reason of the failure, from the first resource that failed."""
    events = client.describe_stack_events(StackName=names.BOOTSTRAP_STACK)["StackEvents"]
    reasons = [
        event["ResourceStatusReason"]
        for event in events
        if event["ResourceStatus"].endswith("_FAILED") and "ResourceStatusReason" in event
    ]
    reason = reasons[-1] if reasons else "AWS gives no reason"
    return f"{names.BOOTSTRAP_STACK} ended as {state}: {reason}. The policies are as they were before."


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stacks.bootstrap", description="The policies that bound everything of Cohort.")
    parser.add_argument("action", choices=("template", "deploy"))
    parser.add_argument(
        "--patterns", nargs="+", help="Names of the buckets that groups can ever reach; otherwise site.toml's, or cohort-*."
    )
    parser.add_argument("--region", help="The region; otherwise site.toml's, or AWS's own setting.")
    parser.add_argument("--account", help="For `template`: the account; otherwise site.toml's, or the one of your credentials.")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the template, or deploy it; end with one sentence instead of a stack trace."""
    options = _arguments(argv)
    try:
        if environment.is_embedded() and "VAR_DIR" in os.environ:
            # A terminal that took in the settings of `make up`: no profile of the person's own leads elsewhere.
            environment.load(Path(os.environ["VAR_DIR"]))
        site = read_site() if SITE_FILE.exists() else None
        session = boto3.Session()
        region = options.region or (site.region if site else session.region_name)
        if not region:
            raise BootstrapFailed("No region is known. Give --region, or set AWS_REGION. Nothing was changed.")
        patterns = names.check_bucket_patterns(options.patterns or (site.bucket_patterns if site else DEFAULT_PATTERNS))
        account = options.account or (site.account if site else None)
        if options.action == "template":
            print(json.dumps(template(account or _own_account(session, region), region, patterns), indent=2))
            return
        own = _own_account(session, region)
        if account and account != own:
            raise BootstrapFailed(f"Your credentials are of the account {own}, and the site's is {account}. Nothing was changed.")
        print(
            f"Deploying {names.BOOTSTRAP_STACK} to {own}, {region}: groups can reach buckets named {' or '.join(patterns)} ...",
            flush=True,
        )
        print("Done." if deploy(session, region, patterns) else "It is up to date: nothing to change.")
        print(f"Next:\n\n{next_command(own, region)}")
    except BotoCoreError as error:
        sys.exit(f"cohort: AWS could not be asked: {error}. Nothing was changed; check AWS_PROFILE and AWS_REGION.")
    except (BootstrapFailed, EnvFileError, names.NameRefused, policies.PolicyTooLarge, SiteError) as error:
        sys.exit(f"cohort: {error}")


def _own_account(session: boto3.Session, region: str) -> str:
    try:
        return str(session.client("sts", region_name=region).get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise BootstrapFailed(f"AWS does not tell who you are: {error}. Nothing was changed; check AWS_PROFILE.") from error


if __name__ == "__main__":
    main()

"""What of Cohort an account holds, by name and by tag: before a run nothing may be there, after it nothing should be left."""

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from stacks import names
from stacks.site.settings import HOST_PATH, SETTINGS_SECRET
from tests.conformance.targets import Target

CDK_STACK = "CDKToolkit"
OPERATOR = "cohort-conformance"
OUR_STACKS = ("Group-", "Cohort-", CDK_STACK)
POLICIES = (names.BOUNDARY_NAME, names.HOST_BOUNDARY_NAME, *names.EXECUTION_NAMES, OPERATOR)
# A service that the target does not have holds nothing of ours.
NO_SUCH_SERVICE = ("InternalFailure", "NotImplemented", "UnknownOperationException", "501", "InvalidAction", "UnsupportedOperation")


def by_name(target: Target) -> list[str]:
    """Everything that has a name which only a site of Cohort, or CDK's bootstrap for it, gives."""
    found: list[str] = []
    for look in (_stacks, _principals, _buckets, _secrets, _others):
        found += look(target)
    return sorted(found)


def by_tag(target: Target) -> list[str] | None:
    """The ARN of everything with the tag `project` = `cohort`; None where the target does not answer that.

    AWS lists what was deleted a while ago, too: what `by_name` has not is gone.
    """
    client = target.client("resourcegroupstaggingapi")
    found: list[str] = []
    try:
        for page in client.get_paginator("get_resources").paginate(TagFilters=[{"Key": "project", "Values": [names.PROJECT]}]):
            found += [mapping["ResourceARN"] for mapping in page["ResourceTagMappingList"]]
    except ClientError as error:
        if _is_missing(error):
            return None
        raise
    return sorted(found)


def bucket_is_there(target: Target, bucket: str) -> bool:
    """Whether the account has this bucket."""
    return bucket in {item["Name"] for item in target.client("s3").list_buckets()["Buckets"]}


def stack_state(target: Target, name: str) -> str:
    """The state of the stack with this name or id; empty if there is none."""
    try:
        (stack,) = target.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return ""
        raise
    return "" if stack["StackStatus"] == "DELETE_COMPLETE" else str(stack["StackStatus"])


def users_of(target: Target, slug: str) -> list[str]:
    """IAM users of a group."""
    return [user["UserName"] for user in pages(target, "iam", "list_users", "Users", PathPrefix=names.iam_path(slug))]


def pages(target: Target, service: str, call: str, key: str, **request: Any) -> Iterator[dict[str, Any]]:
    """Every item of a call that answers in pages."""
    for page in target.client(service).get_paginator(call).paginate(**request):
        yield from page.get(key, [])


def left_of_group(target: Target, slug: str) -> list[str]:
    """What there is of one group: its stack, what lies under its path in IAM, and its secrets."""
    path = names.iam_path(slug)
    found = [f"stack {names.group_stack(slug)}"] if stack_state(target, names.group_stack(slug)) else []
    found += [principal for principal in _principals(target) if path in principal]
    return found + [secret for secret in _secrets(target) if secret.startswith(f"secret {names.PROJECT}/{slug}/")]


def _stacks(target: Target) -> list[str]:
    listed = pages(target, "cloudformation", "describe_stacks", "Stacks")
    return [
        f"stack {stack['StackName']}"
        for stack in listed
        if stack["StackName"].startswith(OUR_STACKS) and stack["StackStatus"] != "DELETE_COMPLETE"
    ]


def _principals(target: Target) -> list[str]:
    found = []
    for kind, call, key, name in (
        ("user", "list_users", "Users", "UserName"),
        ("role", "list_roles", "Roles", "RoleName"),
        ("group", "list_groups", "Groups", "GroupName"),
    ):
        for item in pages(target, "iam", call, key):
            is_ours = item["Path"].startswith((f"/{names.PROJECT}/", HOST_PATH)) or item[name] == OPERATOR
            if is_ours or item[name].startswith(f"cdk-{names.CDK_QUALIFIER}-"):
                found.append(f"{kind} {item['Path']}{item[name]}")
    policies = pages(target, "iam", "list_policies", "Policies", Scope="Local")
    return found + [
        f"policy {policy['Path']}{policy['PolicyName']}"
        for policy in policies
        if policy["Path"].startswith(f"/{names.PROJECT}/") or policy["PolicyName"] in POLICIES
    ]


def _buckets(target: Target) -> list[str]:
    ours = (*names.own_buckets(target.account, target.region), names.cdk_assets(target.account, target.region))
    listed = {bucket["Name"] for bucket in target.client("s3").list_buckets()["Buckets"]}
    return [f"bucket {name}" for name in sorted(listed) if name in ours or name.startswith("cohort-conformance-")]


def _secrets(target: Target) -> list[str]:
    listed = pages(target, "secretsmanager", "list_secrets", "SecretList")
    return [f"secret {item['Name']}" for item in listed if item["Name"].startswith((f"{names.PROJECT}/", SETTINGS_SECRET))]


def _others(target: Target) -> list[str]:
    """What the host and CDK's bootstrap leave: the version's parameter, the backups' key, volumes, addresses and logs."""
    tagged = [{"Name": "tag:project", "Values": [names.PROJECT]}]
    found = _try(lambda: [f"parameter {names.cdk_version_parameter()}"] if _parameter(target) else [])
    found += _try(
        lambda: [
            f"alias {aliase['AliasName']}"
            for aliase in pages(target, "kms", "list_aliases", "Aliases")
            if "cohort" in aliase["AliasName"]
        ]
    )
    found += _try(
        lambda: [f"volume {volume['VolumeId']}" for volume in pages(target, "ec2", "describe_volumes", "Volumes", Filters=tagged)]
    )
    found += _try(
        lambda: [
            f"address {address['PublicIp']}" for address in target.client("ec2").describe_addresses(Filters=tagged)["Addresses"]
        ]
    )
    groups = _try(
        lambda: [
            group["logGroupName"] for group in target.client("logs").describe_log_groups(logGroupNamePrefix="/cohort/")["logGroups"]
        ]
    )
    return found + [f"log group {group}" for group in groups]


def _parameter(target: Target) -> bool:
    ssm = target.client("ssm")
    try:
        ssm.get_parameter(Name=names.cdk_version_parameter())
    except ssm.exceptions.ParameterNotFound:
        return False
    return True


def _try(look: Callable[[], list[str]]) -> list[str]:
    try:
        return look()
    except ClientError as error:
        if _is_missing(error):
            return []
        raise


def _is_missing(error: ClientError) -> bool:
    """Whether the target does not have the service or the call at all."""
    return (
        error.response.get("Error", {}).get("Code") in NO_SUCH_SERVICE
        or error.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    )

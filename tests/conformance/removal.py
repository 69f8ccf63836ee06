"""Remove what a journal names, whatever state it is in: after a run, after Ctrl-C, or after a crash."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from stacks import names
from tests.conformance import host, presence
from tests.conformance.journal import Entry, Journal
from tests.conformance.targets import Target

# CDK's bootstrap and the policies go last: CloudFormation deletes the other stacks by the role that is in there.
LAST = (presence.CDK_STACK, names.BOOTSTRAP_STACK)
LONGEST_SECONDS, POLL_SECONDS = 1800, 0.5
MAX_AT_ONCE = 1000


class Stays(RuntimeError):
    """Something cannot be removed now. The message says why, and until when."""


def remove(target: Target, journal: Journal, say: Callable[[str], None] = print) -> list[str]:
    """Remove all that the journal names. Returns what could not be, each with the reason; it stays in the journal."""
    header = journal.header
    if header is None:
        return []
    if (header.account, header.region) != (target.account, target.region):
        raise RuntimeError(
            f"The journal is of account {header.account} in {header.region}, not of {target.account}. Nothing was removed."
        )
    stays = []
    for entry in _in_order(journal):
        say(f"Removing {entry.kind} {entry.name} ...")
        try:
            _REMOVERS[entry.kind](target, entry.name)
        except (Stays, ClientError) as error:
            stays.append(f"{entry.kind} {entry.name}: {error}")
        else:
            journal.removed(entry)
    if not stays:
        journal.close()
    return stays


def _in_order(journal: Journal) -> list[Entry]:
    """Groups before storage before what all of them need; of the same kind the newest first. Buckets outlive their stacks."""
    stacks = list(reversed(journal.begun("stack")))
    early = [stack for stack in stacks if stack.name not in LAST]
    late = [stack for last in LAST for stack in stacks if stack.name == last]
    stacks_first = [*reversed(journal.begun("group")), *early]
    return [*stacks_first, *journal.begun("host"), *journal.begun("bucket"), *journal.begun("operator"), *late]


def _remove_stack(target: Target, name: str) -> None:
    client = target.client("cloudformation")
    if not (stack_id := _stack_id(client, name)):
        return
    client.update_termination_protection(EnableTerminationProtection=False, StackName=name)
    _settled(target, stack_id)
    client.delete_stack(StackName=stack_id)
    if state := _settled(target, stack_id):
        raise Stays(f"{state}: {_reason(client, stack_id)}")
    if name == presence.CDK_STACK:
        _remove_bucket(target, names.cdk_assets(target.account, target.region))


def _remove_group(target: Target, slug: str) -> None:
    """A group's stack. CloudFormation stumbles over what was put on its principals by hand: then that goes, and it tries again."""
    try:
        _remove_stack(target, names.group_stack(slug))
    except Stays:
        iam = target.client("iam")
        for user in presence.users_of(target, slug):
            _strip(iam, "user", UserName=user)
        _strip(iam, "role", RoleName=names.role(slug))
        _strip(iam, "group", GroupName=names.iam_group(slug))
        _remove_stack(target, names.group_stack(slug))


def _strip(iam: Any, kind: str, **principal: str) -> None:
    """Delete a principal's inline policies, if it is there. Keys are the stack's: CloudFormation wants to delete those itself."""
    try:
        listed = getattr(iam, f"list_{kind}_policies")(**principal)["PolicyNames"]
    except iam.exceptions.NoSuchEntityException:
        return
    for policy in listed:
        _unless_gone(partial(getattr(iam, f"delete_{kind}_policy"), **principal, PolicyName=policy))


def _remove_bucket(target: Target, bucket: str) -> None:
    """A bucket with every version, delete marker and unfinished upload in it."""
    if not presence.bucket_is_there(target, bucket):
        return
    s3 = target.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        _delete(s3, bucket, [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions])
    for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    s3.delete_bucket(Bucket=bucket)


def _delete(s3: Any, bucket: str, versions: list[dict[str, str]]) -> None:
    if not versions:
        return
    errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": versions[:MAX_AT_ONCE], "Quiet": True}).get("Errors", [])
    if errors:
        first = errors[0]
        raise Stays(f"{len(errors)} versions stay, the first: {first['Key']}: {first['Message']}{_until(s3, bucket, first)}")


def _until(s3: Any, bucket: str, version: dict[str, str]) -> str:
    """Until when a version is locked, if it is."""
    try:
        kept = s3.get_object_retention(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])["Retention"]
    except ClientError:
        return ""
    return f"; it is locked until {kept['RetainUntilDate']:%Y-%m-%d}. Run this again after that day"


def _remove_operator(target: Target, name: str) -> None:
    """The IAM user that the control plane was run as, with its key and its policy."""
    iam = target.client("iam")
    arn = names.policy_arn(target.account, target.region, name)
    try:
        for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    except iam.exceptions.NoSuchEntityException:
        pass
    _unless_gone(lambda: iam.detach_user_policy(UserName=name, PolicyArn=arn))
    _unless_gone(lambda: iam.delete_user(UserName=name))
    _unless_gone(lambda: iam.delete_policy(PolicyArn=arn))


def _remove_host(target: Target, name: str) -> None:
    if stays := host.remove_kept(target):
        raise Stays("; ".join(stays))


def _settled(target: Target, stack_id: str) -> str:
    """The stack's state once nothing is under way; empty once it is gone."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while (state := presence.stack_state(target, stack_id)).endswith("IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise Stays(f"it is {state} for more than {LONGEST_SECONDS / 60:.0f} minutes")
        time.sleep(POLL_SECONDS)
    return state


def _stack_id(client: Any, name: str) -> str:
    try:
        (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return ""
        raise
    return "" if stack["StackStatus"] == "DELETE_COMPLETE" else str(stack["StackId"])


def _reason(client: Any, stack_id: str) -> str:
    """Why it was not deleted: the last resource that failed."""
    events = client.describe_stack_events(StackName=stack_id)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"] == "DELETE_FAILED" and event.get("ResourceStatusReason")]
    return f"{failed[0]['LogicalResourceId']}: {failed[0]['ResourceStatusReason']}" if failed else "AWS gives no reason"


def _unless_gone(call: Callable[[], Any]) -> None:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise


_REMOVERS: dict[str, Callable[[Target, str], None]] = {
    "stack": _remove_stack,
    "group": _remove_group,
    "bucket": _remove_bucket,
    "operator": _remove_operator,
    "host": _remove_host,
}

"""Checks of the stacks of the site and its groups: that they exist, and that CloudFormation left them healthy."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from control_plane.doctor.check_context import CheckContext, is_absent
from control_plane.doctor.findings import Finding, NeedsStep, not_yet, ok, to_do
from stacks import names
from stacks.site.settings import BACKUP_STACK, HOST_STACK

HEALTHY_STATUSES = frozenset(
    ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"]
)
# More than an account has room for by default.
MAX_PAGES = 50
MAX_NAMED = 10


def stack(context: CheckContext, name: str) -> dict[str, Any] | None:
    """Return the description of a stack, or None if there is none. Raises ClientError, CannotLook."""
    try:
        (described,) = context.aws("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if is_absent(error):
            return None
        raise
    return dict(described)


def is_healthy(described: dict[str, Any]) -> bool:
    """Check whether the last operation on the stack left it in a healthy state."""
    return described["StackStatus"] in HEALTHY_STATUSES


def output(described: dict[str, Any], name: str) -> str:
    """Return the stack's output of this name; '' if it has none."""
    return next(
        (str(stack_output["OutputValue"]) for stack_output in described.get("Outputs", []) if stack_output["OutputKey"] == name), ""
    )


def require_stack(context: CheckContext, name: str, step: int = 3) -> dict[str, Any]:
    """Return the description of a stack. Raises NeedsStep if it does not exist yet."""
    described = stack(context, name)
    if described is None:
        raise NeedsStep(step, f"{name} is not there yet")
    return described


def backup_stack(context: CheckContext) -> Iterator[Finding]:
    """Check Cohort-Backup, the stack of what outlives the host."""
    yield from _check_stack(context, BACKUP_STACK)


def host_stack(context: CheckContext) -> Iterator[Finding]:
    """Check Cohort-Host."""
    yield from _check_stack(context, HOST_STACK)


def _check_stack(context: CheckContext, name: str) -> Iterator[Finding]:
    described = stack(context, name)
    if described is None:
        yield not_yet(3, "is not there", f"cdk deploy {name}")
    elif described["StackStatus"].endswith("IN_PROGRESS"):
        yield to_do(f"is {described['StackStatus']}", "Wait until CloudFormation has done, then run it again.")
    elif is_healthy(described):
        yield ok(f"is {described['StackStatus']}")
    else:
        yield to_do(
            f"is {described['StackStatus']}: {described.get('StackStatusReason', 'AWS gives no reason')}",
            "docs/operations.md, step 3, has a row for it.",
        )


def groups(context: CheckContext) -> Iterator[Finding]:
    """Check for unhealthy stacks of groups and analysis buckets, and count those deployed by an older release."""
    pages = context.aws("cloudformation").get_paginator("list_stacks").paginate(PaginationConfig={"MaxItems": MAX_PAGES * 100})
    ours = [summary for page in pages for summary in page["StackSummaries"] if _is_own(summary)]
    broken = [
        f"{summary['StackName']} ({summary['StackStatus']})"
        for summary in ours
        if summary["StackStatus"] not in HEALTHY_STATUSES and not summary["StackStatus"].endswith("IN_PROGRESS")
    ]
    if not ours:
        yield not_yet(5, "there are none yet", "sudo cohort platform sync --wait, on the host.")
    elif broken:
        more = f" and {len(broken) - MAX_NAMED} more" if len(broken) > MAX_NAMED else ""
        yield to_do(f"{', '.join(broken[:MAX_NAMED])}{more}", "On the site, Deployments: each has its reason and what to do.")
    else:
        yield ok(f"{len(ours)} are whole{_describe_older(ours, stack(context, HOST_STACK))}")


def _is_own(summary: dict[str, Any]) -> bool:
    """Check whether it is an existing stack of a group or of analysis buckets; nested ones belong to their parents."""
    named = summary["StackName"].startswith(("Group-", names.PLATFORM_STACK))
    return named and summary["StackStatus"] != "DELETE_COMPLETE" and "ParentId" not in summary


def _describe_older(ours: list[dict[str, Any]], host_stack: dict[str, Any] | None) -> str:
    """Describe how many were last deployed before the host's release, and so lack its changes to their templates."""
    if host_stack is None:
        return ""
    many = sum(_changed(summary) < _changed(host_stack) for summary in ours)
    how = "their next deployment brings them up to date, or `sudo cohort platform renew` all at once"
    return f"; {many} last deployed before the host's present version: {how}" if many else ""


def _changed(described: dict[str, Any]) -> Any:
    return described.get("LastUpdatedTime", described["CreationTime"])

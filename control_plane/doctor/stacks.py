"""The stacks of the site and of its groups: whether they are there, and whether CloudFormation left them whole."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from control_plane.doctor.findings import Finding, NeedsStep, not_yet, ok, to_do
from control_plane.doctor.surroundings import Surroundings, is_absent
from stacks import names
from stacks.site import BACKUP_STACK, HOST_STACK

WELL = frozenset(["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"])
# More than an account has room for by default.
MAX_PAGES = 50
MAX_NAMED = 10


def stack(around: Surroundings, name: str) -> dict[str, Any] | None:
    """Describe a stack, or return None where there is none. Raises ClientError, CannotLook."""
    try:
        (found,) = around.aws("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if is_absent(error):
            return None
        raise
    return dict(found)


def is_well(found: dict[str, Any]) -> bool:
    """Whether the last thing that was done with the stack left it whole."""
    return found["StackStatus"] in WELL


def output(found: dict[str, Any], name: str) -> str:
    """Return one of the stack's outputs by its name; empty if it has none."""
    return next((str(one["OutputValue"]) for one in found.get("Outputs", []) if one["OutputKey"] == name), "")


def require_stack(around: Surroundings, name: str, step: int = 3) -> dict[str, Any]:
    """Describe a stack. Raises NeedsStep where it is not there yet."""
    found = stack(around, name)
    if found is None:
        raise NeedsStep(step, f"{name} is not there yet")
    return found


def kept(around: Surroundings) -> Iterator[Finding]:
    """Look at the stack of what outlives the host."""
    yield from _one(around, BACKUP_STACK)


def host(around: Surroundings) -> Iterator[Finding]:
    """Look at the host's stack."""
    yield from _one(around, HOST_STACK)


def _one(around: Surroundings, name: str) -> Iterator[Finding]:
    found = stack(around, name)
    if found is None:
        yield not_yet(3, "is not there", f"cdk deploy {name}")
    elif found["StackStatus"].endswith("IN_PROGRESS"):
        yield to_do(f"is {found['StackStatus']}", "Wait until CloudFormation has done, then run it again.")
    elif is_well(found):
        yield ok(f"is {found['StackStatus']}")
    else:
        yield to_do(
            f"is {found['StackStatus']}: {found.get('StackStatusReason', 'AWS gives no reason')}",
            "docs/operations.md, step 3, has a row for it.",
        )


def groups(around: Surroundings) -> Iterator[Finding]:
    """Look for stacks of groups and of analysis buckets that CloudFormation left half done, and for those of an older release."""
    pages = around.aws("cloudformation").get_paginator("list_stacks").paginate(PaginationConfig={"MaxItems": MAX_PAGES * 100})
    ours = [one for page in pages for one in page["StackSummaries"] if _is_ours(one)]
    broken = [
        f"{one['StackName']} ({one['StackStatus']})"
        for one in ours
        if one["StackStatus"] not in WELL and not one["StackStatus"].endswith("IN_PROGRESS")
    ]
    if not ours:
        yield not_yet(5, "there are none yet", "sudo cohort platform sync --wait, on the host.")
    elif broken:
        more = f" and {len(broken) - MAX_NAMED} more" if len(broken) > MAX_NAMED else ""
        yield to_do(f"{', '.join(broken[:MAX_NAMED])}{more}", "On the site, Deployments: each has its reason and what to do.")
    else:
        yield ok(f"{len(ours)} are whole{_older(ours, stack(around, HOST_STACK))}")


def _is_ours(summary: dict[str, Any]) -> bool:
    """Whether it is a group's or of analysis buckets, and is there; nested ones belong to their parents."""
    named = summary["StackName"].startswith(("Group-", names.PLATFORM_STACK))
    return named and summary["StackStatus"] != "DELETE_COMPLETE" and "ParentId" not in summary


def _older(ours: list[dict[str, Any]], host_stack: dict[str, Any] | None) -> str:
    """How many were last deployed before the host's release: what that changes in their templates they do not have yet."""
    if host_stack is None:
        return ""
    many = sum(_changed(one) < _changed(host_stack) for one in ours)
    how = "their next deployment brings them up to date, or `sudo cohort platform renew` all at once"
    return f"; {many} last deployed before the host's present version: {how}" if many else ""


def _changed(described: dict[str, Any]) -> Any:
    return described.get("LastUpdatedTime", described["CreationTime"])

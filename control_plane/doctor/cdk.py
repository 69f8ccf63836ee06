"""Checks of CDK's bootstrap: its version, the policies of CloudFormation's role, and other bootstraps of the account."""

import re
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from control_plane.doctor.check_context import CheckContext, error_code, is_absent
from control_plane.doctor.findings import Finding, NeedsStep, not_yet, ok, to_do
from control_plane.doctor.stacks import is_healthy, stack
from stacks import bootstrap, names

TOOLKIT = "CDKToolkit"
# Required by every template of CDK (its rule CheckBootstrapVersion).
MIN_VERSION = 6
MAX_OTHERS, MAX_ROLES = 10, 5000
ADMINISTRATOR = ":policy/AdministratorAccess"


def toolkit(context: CheckContext) -> Iterator[Finding]:
    """Check that CDK's bootstrap exists under Cohort's qualifier, and is new enough."""
    again = bootstrap.next_command(context.account, context.region)
    try:
        value = context.aws("ssm").get_parameter(Name=names.cdk_version_parameter())["Parameter"]["Value"]
    except ClientError as error:
        if not is_absent(error):
            raise
        yield not_yet(2, f"is not there under the qualifier {names.CDK_QUALIFIER}", again)
        return
    described = stack(context, TOOLKIT)
    if not value.isdecimal() or int(value) < MIN_VERSION:
        yield to_do(f"is of version {value}; {MIN_VERSION} is needed", again)
    elif described is not None and not is_healthy(described):
        yield to_do(f"version {value}, but {TOOLKIT} is {described['StackStatus']}", again)
    elif described is None:
        yield ok(f"version {value}, by a stack of another name than {TOOLKIT}")
    else:
        yield ok(f"version {value}, qualifier {names.CDK_QUALIFIER}")


def execution_role(context: CheckContext) -> Iterator[Finding]:
    """Check that CloudFormation's role has the execution policies, and no others."""
    arn = names.cdk_role_arn(context.account, context.region, "cfn-exec-role")
    again = bootstrap.next_command(context.account, context.region)
    wanted = set(bootstrap.execution_arns(context.account, context.region).split(","))
    try:
        attached = _attached(context, arn.rpartition("/")[2])
        inline = context.aws("iam").list_role_policies(RoleName=arn.rpartition("/")[2])["PolicyNames"]
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        raise NeedsStep(2, "is not there", again) from error
    more = [*(_short(policy) for policy in sorted(attached - wanted)), *(f"{policy} (inline)" for policy in sorted(inline))]
    if more:
        everything = (
            " CloudFormation may do everything in this account."
            if any(policy.endswith(ADMINISTRATOR) for policy in attached)
            else ""
        )
        yield to_do(f"has {', '.join(more)} beside, or in place of, Cohort's policies.{everything}", _narrow(arn, again))
    if missing := sorted(wanted - attached):
        yield to_do(f"lacks {', '.join(map(_short, missing))}", again)
    if not more and not missing:
        yield ok(f"has {', '.join(map(_short, sorted(attached)))}, and nothing else")


def other_bootstraps(context: CheckContext) -> Iterator[Finding]:
    """List the account's other CDK bootstraps, whose users are often administrators. Cohort's roles may use none."""
    pages = context.aws("iam").get_paginator("list_roles").paginate(PaginationConfig={"MaxItems": MAX_ROLES})
    own = names.cdk_role_arn(context.account, context.region, "cfn-exec-role").rpartition("/")[2]
    role_names = [role["RoleName"] for page in pages for role in page["Roles"]]
    roles = [name for name in role_names if re.fullmatch(r"cdk-.+-cfn-exec-role-\d{12}-[a-z0-9-]+", name) and name != own]
    if not roles:
        yield ok("none beside Cohort's")
        return
    administrators = [
        name for name in roles[:MAX_OTHERS] if any(policy.endswith(ADMINISTRATOR) for policy in _attached(context, name))
    ]
    words = f"{len(roles)} more: {', '.join(roles[:MAX_OTHERS])}"
    if administrators:
        words += f". Administrators: {', '.join(administrators)}"
    yield ok(f"{words}. Cohort uses none of them, and its roles may not either")


def _attached(context: CheckContext, role: str) -> set[str]:
    pages: Any = context.aws("iam").get_paginator("list_attached_role_policies").paginate(RoleName=role)
    return {str(policy["PolicyArn"]) for page in pages for policy in page["AttachedPolicies"]}


def _narrow(arn: str, again: str) -> str:
    by_hand = f"What was added by hand stays: take it off in IAM's console, role {_short(arn)}."
    return f"Run this again, which attaches Cohort's alone:\n{again}\n{by_hand}"


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]

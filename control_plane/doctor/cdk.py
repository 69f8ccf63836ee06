"""CDK's bootstrap: its version, what CloudFormation may do for it, and who else bootstrapped the account."""

import re
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from control_plane.doctor.findings import Finding, NeedsStep, not_yet, ok, to_do
from control_plane.doctor.stacks import is_well, stack
from control_plane.doctor.surroundings import Surroundings, code_of, is_absent
from stacks import bootstrap, names

TOOLKIT = "CDKToolkit"
# What every template of CDK's asks for (its rule CheckBootstrapVersion).
LEAST_VERSION = 6
MAX_OTHERS, MAX_ROLES = 10, 5000
ADMINISTRATOR = ":policy/AdministratorAccess"


def toolkit(around: Surroundings) -> Iterator[Finding]:
    """Look whether CDK's bootstrap is there under the qualifier that Cohort uses, and new enough."""
    again = bootstrap.next_command(around.account, around.region)
    try:
        value = around.aws("ssm").get_parameter(Name=names.cdk_version_parameter())["Parameter"]["Value"]
    except ClientError as error:
        if not is_absent(error):
            raise
        yield not_yet(2, f"is not there under the qualifier {names.CDK_QUALIFIER}", again)
        return
    found = stack(around, TOOLKIT)
    if not value.isdecimal() or int(value) < LEAST_VERSION:
        yield to_do(f"is of version {value}; {LEAST_VERSION} is needed", again)
    elif found is not None and not is_well(found):
        yield to_do(f"version {value}, but {TOOLKIT} is {found['StackStatus']}", again)
    elif found is None:
        yield ok(f"version {value}, by a stack of another name than {TOOLKIT}")
    else:
        yield ok(f"version {value}, qualifier {names.CDK_QUALIFIER}")


def execution_role(around: Surroundings) -> Iterator[Finding]:
    """Look whether CloudFormation's role has the execution policies, and nothing beside them."""
    arn = names.cdk_role_arn(around.account, around.region, "cfn-exec-role")
    again = bootstrap.next_command(around.account, around.region)
    wanted = set(bootstrap.execution_arns(around.account, around.region).split(","))
    try:
        attached = _attached(around, arn.rpartition("/")[2])
        inline = around.aws("iam").list_role_policies(RoleName=arn.rpartition("/")[2])["PolicyNames"]
    except ClientError as error:
        if code_of(error) != "NoSuchEntity":
            raise
        raise NeedsStep(2, "is not there", again) from error
    more = [*(_short(one) for one in sorted(attached - wanted)), *(f"{one} (inline)" for one in sorted(inline))]
    if more:
        everything = (
            " CloudFormation may do everything in this account." if any(one.endswith(ADMINISTRATOR) for one in attached) else ""
        )
        yield to_do(f"has {', '.join(more)} beside, or in place of, Cohort's policies.{everything}", _narrow(arn, again))
    if missing := sorted(wanted - attached):
        yield to_do(f"lacks {', '.join(map(_short, missing))}", again)
    if not more and not missing:
        yield ok(f"has {', '.join(map(_short, sorted(attached)))}, and nothing else")


def others(around: Surroundings) -> Iterator[Finding]:
    """Name the account's other CDK bootstraps: whoever deploys by them may often do everything. Cohort's roles may use none."""
    pages = around.aws("iam").get_paginator("list_roles").paginate(PaginationConfig={"MaxItems": MAX_ROLES})
    own = names.cdk_role_arn(around.account, around.region, "cfn-exec-role").rpartition("/")[2]
    found = [one["RoleName"] for page in pages for one in page["Roles"]]
    roles = [name for name in found if re.fullmatch(r"cdk-.+-cfn-exec-role-\d{12}-[a-z0-9-]+", name) and name != own]
    if not roles:
        yield ok("none beside Cohort's")
        return
    administrators = [name for name in roles[:MAX_OTHERS] if any(one.endswith(ADMINISTRATOR) for one in _attached(around, name))]
    words = f"{len(roles)} more: {', '.join(roles[:MAX_OTHERS])}"
    if administrators:
        words += f". Administrators: {', '.join(administrators)}"
    yield ok(f"{words}. Cohort uses none of them, and its roles may not either")


def _attached(around: Surroundings, role: str) -> set[str]:
    pages: Any = around.aws("iam").get_paginator("list_attached_role_policies").paginate(RoleName=role)
    return {str(one["PolicyArn"]) for page in pages for one in page["AttachedPolicies"]}


def _narrow(arn: str, again: str) -> str:
    by_hand = f"What was added by hand stays: take it off in IAM's console, role {_short(arn)}."
    return f"Run this again, which attaches Cohort's alone:\n{again}\n{by_hand}"


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]

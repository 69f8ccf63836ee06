"""Checks of Cohort-Bootstrap: the stack, its policies compared with this checkout's, and the administrator's rights."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from control_plane.doctor.check_context import DENIED, CheckContext, describe_failure, error_code
from control_plane.doctor.findings import Finding, not_yet, ok, to_do, unknown
from control_plane.doctor.rights import Question, ask
from control_plane.doctor.stacks import is_healthy, stack
from stacks import bootstrap, names, policies
from stacks.site.deploy_role import DEPLOY_POLICY, deploy_policy
from stacks.site.policy_holders import explain_holder, find_policy_holder

DEPLOY = "python -m stacks.bootstrap deploy"
UNPROTECTED = (
    "aws cloudformation update-termination-protection --enable-termination-protection --stack-name " + names.BOOTSTRAP_STACK
)


def bootstrap_stack(context: CheckContext) -> Iterator[Finding]:
    """Check that the stack exists, is healthy and protected from deletion; if it is missing, that its names are free."""
    described = stack(context, names.BOOTSTRAP_STACK)
    if described is None:
        holder = find_policy_holder(context.session, context.account, context.region, context.endpoint)
        yield (
            to_do("its names are taken", explain_holder(holder))
            if holder
            else not_yet(2, "is not there; its names are free", DEPLOY)
        )
    elif not is_healthy(described):
        yield to_do(f"is {described['StackStatus']}", f"Run `{DEPLOY}`: it says what to do.")
    elif described.get("EnableTerminationProtection") is False:
        yield to_do("is there, and not protected from being deleted", UNPROTECTED)
    else:
        yield ok(f"is {described['StackStatus']}")


def policy_contents(context: CheckContext) -> Iterator[Finding]:
    """Compare each policy with the one this checkout makes, and name those that differ: they are older until they are renewed."""
    try:
        wanted = bootstrap.policy_documents(context.account, context.region, context.patterns)
        wanted[names.DEPLOY_ROLE] = deploy_policy(context.account, context.region)
    except (names.NameRefused, policies.PolicyTooLarge) as error:
        yield to_do(str(error), "Correct `bucket_patterns` in site.toml.")
        return
    held = {name: _read_policy(context, name) for name in wanted}
    same = [name for name, policy in held.items() if policy.state == "there" and policy.document == wanted[name]]
    missing = [name for name, policy in held.items() if policy.state == "missing"]
    hidden = [name for name, policy in held.items() if policy.state == "hidden"]
    for name in [name for name in wanted if name not in (*same, *missing, *hidden)]:
        was = f"{name} ({held[name].version})" if held[name].version else name
        yield to_do(f"{was} is not what this checkout makes: it is of an older one, or of other bucket_patterns", DEPLOY)
    if missing and len(missing) == len(wanted):
        yield not_yet(2, "are not there", DEPLOY)
    elif missing:
        yield to_do(f"{', '.join(missing)} missing", DEPLOY)
    if hidden:
        yield unknown(f"these credentials may not read {', '.join(hidden)}", "Run it as the account's administrator.")
    if same:
        yield ok(f"{', '.join(same)}: as this checkout makes {'it' if len(same) == 1 else 'them'}")


class HeldPolicy(NamedTuple):
    """A policy as AWS holds it, or the reason why its document is unknown. A role's inline policy has no version."""

    state: Literal["there", "missing", "hidden"]
    version: str = ""
    document: Any = None


def _read_policy(context: CheckContext, name: str) -> HeldPolicy:
    iam, arn = context.aws("iam"), names.policy_arn(context.account, context.region, name)
    try:
        if name == names.DEPLOY_ROLE:
            return HeldPolicy("there", document=iam.get_role_policy(RoleName=name, PolicyName=DEPLOY_POLICY)["PolicyDocument"])
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return HeldPolicy("missing")
        if error_code(error) in DENIED:
            return HeldPolicy("hidden")
        raise
    return HeldPolicy("there", str(version), document)


def administrator(context: CheckContext) -> Iterator[Finding]:
    """Check with IAM's simulator that the caller may create and delete what steps 2 and 8 do."""
    caller = context.caller()
    context.aws("iam")
    if caller.is_root:
        yield ok("the root user may do everything")
        return
    try:
        arn = _policy_source(context, caller.arn)
        refused = [
            question.action
            for question in (
                Question("iam:CreatePolicy", names.policy_arn(context.account, context.region, names.BOUNDARY_NAME)),
                Question("iam:CreateRole", names.cdk_role_arn(context.account, context.region, "cfn-exec-role")),
                Question("cloudformation:CreateStack"),
                Question("cloudformation:DeleteStack"),
            )
            if not ask(context, arn, question)
        ]
    except (BotoCoreError, ClientError) as error:
        yield unknown(describe_failure(error), f"`{DEPLOY}` tells; it changes nothing where a right is missing.")
        return
    if refused:
        yield to_do(f"may not {', '.join(refused)}", "Use a profile with administrator's rights for this step.")
    else:
        yield ok("may make policies, roles and stacks")


def _policy_source(context: CheckContext, arn: str) -> str:
    """Return the ARN whose policies apply: for a session the role's, which has a path that the session's ARN lacks."""
    if ":assumed-role/" not in arn:
        return arn
    return str(context.aws("iam").get_role(RoleName=arn.split("/")[1])["Role"]["Arn"])

"""Cohort-Bootstrap: whether it is there, and whether its policies are what this checkout makes."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from control_plane.doctor.findings import Finding, not_yet, ok, to_do, unknown
from control_plane.doctor.rights import Question, ask
from control_plane.doctor.stacks import is_well, stack
from control_plane.doctor.surroundings import DENIED, Surroundings, code_of, why_not
from stacks import bootstrap, names, policies
from stacks._deploy_role import DEPLOY_POLICY, deploy_policy
from stacks._policy_holders import explain_holder, find_policy_holder

DEPLOY = "python -m stacks.bootstrap deploy"
UNPROTECTED = (
    "aws cloudformation update-termination-protection --enable-termination-protection --stack-name " + names.BOOTSTRAP_STACK
)


def bootstrap_stack(around: Surroundings) -> Iterator[Finding]:
    """Look whether the stack is there, whole and protected; where it is not, whether its names are free."""
    found = stack(around, names.BOOTSTRAP_STACK)
    if found is None:
        holder = find_policy_holder(around.session, around.account, around.region, around.endpoint)
        yield (
            to_do("its names are taken", explain_holder(holder))
            if holder
            else not_yet(2, "is not there; its names are free", DEPLOY)
        )
    elif not is_well(found):
        yield to_do(f"is {found['StackStatus']}", f"Run `{DEPLOY}`: it says what to do.")
    elif found.get("EnableTerminationProtection") is False:
        yield to_do("is there, and not protected from being deleted", UNPROTECTED)
    else:
        yield ok(f"is {found['StackStatus']}")


def policy_contents(around: Surroundings) -> Iterator[Finding]:
    """Compare each policy with what this checkout makes; each that differs is named, since it is older until it is renewed."""
    try:
        wanted = bootstrap.policy_documents(around.account, around.region, around.patterns)
        wanted[names.DEPLOY_ROLE] = deploy_policy(around.account, around.region)
    except (names.NameRefused, policies.PolicyTooLarge) as error:
        yield to_do(str(error), "Correct `bucket_patterns` in site.toml.")
        return
    held = {name: _held(around, name) for name in wanted}
    same = [name for name, one in held.items() if one.state == "there" and one.document == wanted[name]]
    missing = [name for name, one in held.items() if one.state == "missing"]
    hidden = [name for name, one in held.items() if one.state == "hidden"]
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


class Held(NamedTuple):
    """A policy as AWS has it, or why its document is not known. A role's own has no version."""

    state: Literal["there", "missing", "hidden"]
    version: str = ""
    document: Any = None


def _held(around: Surroundings, name: str) -> Held:
    iam, arn = around.aws("iam"), names.policy_arn(around.account, around.region, name)
    try:
        if name == names.DEPLOY_ROLE:
            return Held("there", document=iam.get_role_policy(RoleName=name, PolicyName=DEPLOY_POLICY)["PolicyDocument"])
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    except ClientError as error:
        if code_of(error) == "NoSuchEntity":
            return Held("missing")
        if code_of(error) in DENIED:
            return Held("hidden")
        raise
    return Held("there", str(version), document)


def administrator(around: Surroundings) -> Iterator[Finding]:
    """Ask IAM's simulator whether the caller may make and remove what steps 2 and 8 do."""
    caller = around.caller()
    around.aws("iam")
    if caller.is_root:
        yield ok("the root user may do everything")
        return
    try:
        arn = _source(around, caller.arn)
        refused = [
            question.action
            for question in (
                Question("iam:CreatePolicy", names.policy_arn(around.account, around.region, names.BOUNDARY_NAME)),
                Question("iam:CreateRole", names.cdk_role_arn(around.account, around.region, "cfn-exec-role")),
                Question("cloudformation:CreateStack"),
                Question("cloudformation:DeleteStack"),
            )
            if not ask(around, arn, question)
        ]
    except (BotoCoreError, ClientError) as error:
        yield unknown(why_not(error), f"`{DEPLOY}` tells; it changes nothing where a right is missing.")
        return
    if refused:
        yield to_do(f"may not {', '.join(refused)}", "Use a profile with administrator's rights for this step.")
    else:
        yield ok("may make policies, roles and stacks")


def _source(around: Surroundings, arn: str) -> str:
    """Whose policies count: of a session, the role's, whose ARN has a path that the session's does not tell."""
    if ":assumed-role/" not in arn:
        return arn
    return str(around.aws("iam").get_role(RoleName=arn.split("/")[1])["Role"]["Arn"])

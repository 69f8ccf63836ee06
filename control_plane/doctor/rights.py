"""Checks of the site's roles with IAM's simulator: actions that must be allowed, and actions that must be denied."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from control_plane.doctor.check_context import DENIED, CheckContext, error_code
from control_plane.doctor.findings import Finding, NeedsStep, ok, to_do, unknown
from stacks import bootstrap, names
from stacks.site.settings import HOST_PATH

RENEW = "python -m stacks.bootstrap deploy, then cdk deploy --all"
SIMULATE = "Run it with the account's administrator's rights (iam:SimulatePrincipalPolicy)."


@dataclass(frozen=True)
class Question:
    """An action on a resource, with the condition keys of the call. `means` describes it to people."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)
    means: str = ""


@dataclass(frozen=True)
class Expected:
    """Actions that a role must be allowed, and actions that it must be denied."""

    role: str
    made_by: int
    allowed: Sequence[Question]
    denied: Sequence[Question]


def ask(context: CheckContext, arn: str, question: Question) -> bool:
    """Return True if the simulator allows it to this user or role, with its boundary. Raises ClientError."""
    answer = context.aws("iam").simulate_principal_policy(
        PolicySourceArn=arn,
        ActionNames=[question.action],
        ResourceArns=[question.resource],
        ContextEntries=[
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in question.context.items()
        ],
    )
    return all(result["EvalDecision"] == "allowed" for result in answer["EvaluationResults"])


def execution(context: CheckContext) -> Iterator[Finding]:
    """Check CloudFormation's role."""
    yield from _check_expected(context, expected_execution(context.account, context.region))


def worker(context: CheckContext) -> Iterator[Finding]:
    """Check the worker's role, which is the host's."""
    yield from _check_expected(context, expected_worker(context.account, context.region))


def web(context: CheckContext) -> Iterator[Finding]:
    """Check the web process's role."""
    yield from _check_expected(context, expected_web(context.account, context.region))


def expected_execution(account: str, region: str) -> Expected:
    """Return CloudFormation's expected rights: those whose lack stops deployments, and denied ones that would escalate."""
    role = names.cdk_role_arn(account, region, "cfn-exec-role")
    iam, ec2 = f"arn:{names.partition(region)}:iam::{account}:", f"arn:{names.partition(region)}:ec2:{region}:"
    boundary = {"iam:PermissionsBoundary": names.boundary_arn(account, region)}
    anything = f"arn:{names.partition(region)}:iam::aws:policy/AdministratorAccess"
    ours = {"aws:ResourceTag/project": names.PROJECT}
    return Expected(
        role,
        2,
        (
            Question("kms:CreateKey", context={"aws:RequestTag/project": names.PROJECT}, means="the backups' key"),
            Question("iam:PassRole", role, {"iam:PassedToService": "cloudformation.amazonaws.com"}, "nested stacks"),
            Question("iam:CreateRole", f"{iam}role/cohort/doctor/cohort-doctor", boundary, "a group's role"),
            Question("ec2:CreateVolume", f"{ec2}:snapshot/snap-0123456789abcdef0", ours, "a restored volume"),
            Question("s3:DeleteBucketPolicy", _bucket(account, region), means="taking a creation back"),
        ),
        (
            Question("iam:CreatePolicyVersion", names.boundary_arn(account, region), means="another boundary"),
            Question(
                "iam:CreatePolicyVersion", names.policy_arn(account, region, names.EXECUTION_NAMES[0]), means="its own rights"
            ),
            Question("iam:CreateRole", f"{iam}role/administrator", means="a role without a boundary"),
            Question("iam:AttachRolePolicy", role, {"iam:PolicyARN": anything}, "AdministratorAccess for itself"),
            Question("sts:AssumeRole", f"{iam}role/administrator", means="other roles"),
            Question("s3:DeleteObjectVersion", f"{_backups(account, region)}/database/a", means="deleting backups"),
        ),
    )


def expected_worker(account: str, region: str) -> Expected:
    """Return the worker's expected rights: deploying by Cohort's own CDK roles, and by no others."""
    iam = f"arn:{names.partition(region)}:iam::{account}:"
    other = f"{iam}role/cdk-other-deploy-role-{account}-{region}"
    return Expected(
        f"{iam}role{HOST_PATH}cohort-host",
        3,
        (
            Question("sts:AssumeRole", names.deploy_role_arn(account, region), means="deploying"),
            Question("sts:AssumeRole", names.role_arn(account, region, "doctor"), means="acting for members"),
            Question("cloudformation:DescribeStacks", _stack(account, region), means="looking at stacks"),
            Question("iam:PutUserPolicy", f"{iam}user/cohort/doctor/cohort-doctor", means="the lockout"),
        ),
        (
            Question("sts:AssumeRole", other, means="another CDK bootstrap's role"),
            Question("sts:AssumeRole", names.cdk_role_arn(account, region, "deploy-role"), means="any stack by CDK's own role"),
            Question("iam:PutRolePolicy", f"{iam}role{HOST_PATH}cohort-host", means="its own rights"),
            Question("iam:CreatePolicyVersion", names.boundary_arn(account, region), means="another boundary"),
            Question("cloudformation:CreateStack", _stack(account, region), means="stacks past CDK"),
            Question("s3:DeleteObjectVersion", f"{_backups(account, region)}/database/a", means="deleting backups"),
        ),
    )


def expected_web(account: str, region: str) -> Expected:
    """Return the web process's expected rights: acting for members, and nothing else."""
    iam = f"arn:{names.partition(region)}:iam::{account}:"
    return Expected(
        f"{iam}role{HOST_PATH}cohort-web",
        3,
        (Question("sts:AssumeRole", names.role_arn(account, region, "doctor"), means="acting for members"),),
        (
            Question("sts:AssumeRole", names.deploy_role_arn(account, region), means="deploying"),
            Question("sts:AssumeRole", f"{iam}role{HOST_PATH}cohort-host", means="the worker's role"),
            Question("cloudformation:DeleteStack", _stack(account, region), means="deleting stacks"),
            Question("iam:CreateUser", f"{iam}user/cohort/doctor/cohort-doctor", means="IAM users"),
        ),
    )


def _check_expected(context: CheckContext, expected: Expected) -> Iterator[Finding]:
    try:
        lacking = [question for question in expected.allowed if not ask(context, expected.role, question)]
        too_many = [question for question in expected.denied if ask(context, expected.role, question)]
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            raise NeedsStep(expected.made_by, "the role is not there") from error
        if error_code(error) in DENIED:
            yield unknown("these credentials may not ask IAM's simulator", SIMULATE)
            return
        raise
    if lacking:
        yield to_do(f"may not {_describe(lacking)}", _renewal(context, expected))
    if too_many:
        yield to_do(f"may {_describe(too_many)}, which it must not", _renewal(context, expected))
    if not lacking and not too_many:
        yield ok(f"{len(expected.allowed)} actions that it needs are allowed, {len(expected.denied)} that would harm are denied")


def _describe(questions: Sequence[Question]) -> str:
    return ", ".join(f"{question.action} ({question.means})" for question in questions)


def _renewal(context: CheckContext, expected: Expected) -> str:
    if expected.made_by != 2:
        return f"{RENEW}. Where that changes nothing, an organisation's policy (SCP) may be in the way."
    return f"python -m stacks.bootstrap deploy, then\n{bootstrap.next_command(context.account, context.region)}"


def _bucket(account: str, region: str) -> str:
    return f"arn:{names.partition(region)}:s3:::{names.own_buckets(account, region)[0]}"


def _backups(account: str, region: str) -> str:
    return f"arn:{names.partition(region)}:s3:::{names.own_buckets(account, region)[1]}"


def _stack(account: str, region: str) -> str:
    return f"arn:{names.partition(region)}:cloudformation:{region}:{account}:stack/{names.group_stack('doctor')}/1"

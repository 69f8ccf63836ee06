"""What the site's roles may do, asked of IAM's own simulator: telling actions that must be allowed, or must be denied."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from control_plane.doctor.findings import Finding, NeedsStep, ok, to_do, unknown
from control_plane.doctor.surroundings import DENIED, Surroundings, code_of
from stacks import bootstrap, names
from stacks.site import HOST_PATH

RENEW = "python -m stacks.bootstrap deploy, then cdk deploy --all"
SIMULATE = "Run it with the account's administrator's rights (iam:SimulatePrincipalPolicy)."


@dataclass(frozen=True)
class Question:
    """Whether an action on a resource is allowed, with condition keys that the call would carry. `means` says it to people."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)
    means: str = ""


@dataclass(frozen=True)
class Expected:
    """What a role must be allowed, and what it must be denied."""

    role: str
    made_by: int
    allowed: Sequence[Question]
    denied: Sequence[Question]


def ask(around: Surroundings, arn: str, question: Question) -> bool:
    """Ask the simulator whether this user or role may do it, boundary included. Raises ClientError."""
    answer = around.aws("iam").simulate_principal_policy(
        PolicySourceArn=arn,
        ActionNames=[question.action],
        ResourceArns=[question.resource],
        ContextEntries=[
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in question.context.items()
        ],
    )
    return all(one["EvalDecision"] == "allowed" for one in answer["EvaluationResults"])


def execution(around: Surroundings) -> Iterator[Finding]:
    """Ask about CloudFormation's role."""
    yield from _compare(around, of_execution(around.account, around.region))


def worker(around: Surroundings) -> Iterator[Finding]:
    """Ask about the worker's role, which is the host's."""
    yield from _compare(around, of_worker(around.account, around.region))


def web(around: Surroundings) -> Iterator[Finding]:
    """Ask about the web process's role."""
    yield from _compare(around, of_web(around.account, around.region))


def of_execution(account: str, region: str) -> Expected:
    """What CloudFormation's role must be allowed and denied: the rights whose lack stopped deployments, and the ways up."""
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


def of_worker(account: str, region: str) -> Expected:
    """What the worker must be allowed and denied: deploying by Cohort's own CDK roles, and by nobody else's."""
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


def of_web(account: str, region: str) -> Expected:
    """What the web process must be allowed and denied: acting for members, and nothing else."""
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


def _compare(around: Surroundings, expected: Expected) -> Iterator[Finding]:
    try:
        lacking = [one for one in expected.allowed if not ask(around, expected.role, one)]
        too_many = [one for one in expected.denied if ask(around, expected.role, one)]
    except ClientError as error:
        if code_of(error) == "NoSuchEntity":
            raise NeedsStep(expected.made_by, "the role is not there") from error
        if code_of(error) in DENIED:
            yield unknown("these credentials may not ask IAM's simulator", SIMULATE)
            return
        raise
    if lacking:
        yield to_do(f"may not {_named(lacking)}", _renew(around, expected))
    if too_many:
        yield to_do(f"may {_named(too_many)}, which it must not", _renew(around, expected))
    if not lacking and not too_many:
        yield ok(f"{len(expected.allowed)} actions that it needs are allowed, {len(expected.denied)} that would harm are denied")


def _named(questions: Sequence[Question]) -> str:
    return ", ".join(f"{one.action} ({one.means})" for one in questions)


def _renew(around: Surroundings, expected: Expected) -> str:
    if expected.made_by != 2:
        return f"{RENEW}. Where that changes nothing, an organisation's policy (SCP) may be in the way."
    return f"python -m stacks.bootstrap deploy, then\n{bootstrap.next_command(around.account, around.region)}"


def _bucket(account: str, region: str) -> str:
    return f"arn:{names.partition(region)}:s3:::{names.own_buckets(account, region)[0]}"


def _backups(account: str, region: str) -> str:
    return f"arn:{names.partition(region)}:s3:::{names.own_buckets(account, region)[1]}"


def _stack(account: str, region: str) -> str:
    return f"arn:{names.partition(region)}:cloudformation:{region}:{account}:stack/{names.group_stack('doctor')}/1"

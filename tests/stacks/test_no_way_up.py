"""Nobody of ours can become an administrator of the account, and the search that says so finds whoever could."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from stacks import names
from tests.stacks.simulation import ACCOUNT
from tests.stacks.simulation.edits import with_statement, with_text, without
from tests.stacks.simulation.model import IAM, Model, shared_account, with_inline, with_policy
from tests.stacks.simulation.settings import HOME
from tests.stacks.ways_up import Search, ways_up

EXECUTION = names.cdk_role_arn(ACCOUNT, HOME, "cfn-exec-role")
DEPLOY = names.deploy_role_arn(ACCOUNT, HOME)
WORKER, WEB, BACKUP = (f"{IAM}role/cohort-host/cohort-{name}" for name in ("host", "web", "backup"))
MEMBER = f"{IAM}role/cohort/example-lab/cohort-example-lab"
KEY_HOLDER = f"{IAM}user/cohort/example-lab/cohort-example-lab-m{'a' * 11}"
STARTS = {
    "the worker": WORKER,
    "the web process": WEB,
    "CloudFormation": EXECUTION,
    "AWS Backup": BACKUP,
    "a federated member": MEMBER,
    "a member with a key": KEY_HOLDER,
}
LIMITS, _, _ = (names.policy_arn(ACCOUNT, HOME, name) for name in names.EXECUTION_NAMES)
HOST_BOUNDARY = names.policy_arn(ACCOUNT, HOME, names.HOST_BOUNDARY_NAME)


@pytest.mark.parametrize("who", STARTS)
def test_nobody_of_ours_comes_to_be_an_administrator(who: str) -> None:
    assert ways_up(shared_account(), STARTS[who]) == []


def test_the_search_goes_through_every_door_that_is_ours() -> None:
    """The worker acts as CloudFormation by what it deploys, which makes principals: all are tried, and stop at a boundary."""
    search = Search(shared_account()).run(WORKER)
    assert {EXECUTION, DEPLOY, WEB, BACKUP, MEMBER, KEY_HOLDER} <= {principal.arn for principal in search.reached}
    new = {
        (principal.arn.rpartition(":")[2], principal.boundary.rpartition("/")[2])
        for principal in search.reached
        if principal.arn.endswith("/new")
    }
    assert new == {
        ("role/cohort/new", names.BOUNDARY_NAME),
        ("user/cohort/new", names.BOUNDARY_NAME),
        ("role/cohort-host/new", names.HOST_BOUNDARY_NAME),
    }
    assert {principal.arn for principal in Search(shared_account()).run(WEB).reached} == {
        WEB,
        *(arn for arn in shared_account().principals if arn.startswith(f"{IAM}role/cohort/")),
    }
    for alone in (BACKUP, MEMBER, KEY_HOLDER):
        assert [principal.arn for principal in Search(shared_account()).run(alone).reached] == [alone]


def test_only_by_a_group_could_somebody_else_s_user_be_raised() -> None:
    """IAM asks about the group alone when a user is added to it (Service Authorization Reference, iam:AddUserToGroup).

    The threat model says so. Whoever does it comes no nearer to that user's key.
    """
    for start in STARTS.values():
        helped = Search(shared_account()).run(start).helped
        assert {arn.rpartition(":")[2] for arn in helped} in ({"user/operator", "user/somebody"}, set())
        assert {how.rpartition(" -> ")[2].split(" group/")[0] for how in helped.values()} <= {"PutGroupPolicy and AddUserToGroup"}


def with_every_deploy_role(model: Model) -> Model:
    """The worker may assume the deploy role of any bootstrap, and its boundary lets it."""
    return _assuming(model, "cdk-*-deploy-role-*")


def with_cdk_s_deploy_role(model: Model) -> Model:
    """The worker deploys by the role that CDK's own bootstrap has for that, and its boundary lets it."""
    return _assuming(model, names.cdk_role_arn(ACCOUNT, HOME, "deploy-role").rpartition("/")[2])


def _assuming(model: Model, role: str) -> Model:
    before, after = (f":role/{name}" for name in (names.DEPLOY_ROLE, role))
    (document,) = model.principals[WORKER].inline.values()
    model = with_inline(model, WORKER, with_text(document, before, after))
    return with_policy(model, HOST_BOUNDARY, with_text(model.policies[HOST_BOUNDARY], before, after))


def _with_execution(model: Model, action: str, resource: str, *denials: str) -> Model:
    document = with_statement(without(model.policies[LIMITS], *denials), action, resource)
    return with_policy(model, LIMITS, document)


def _unbound_member(model: Model) -> Model:
    own = {"Effect": "Allow", "Action": "iam:PutUserPolicy", "Resource": KEY_HOLDER}
    member = replace(model.principals[KEY_HOLDER], boundary="", inline={"own": {"Version": "2012-10-17", "Statement": [own]}})
    return replace(model, principals={**model.principals, KEY_HOLDER: member})


PLANTED: dict[str, tuple[str, Callable[[Model], Model], str]] = {
    # CloudFormation changes a stack as the role that it was last given (its user guide, "CloudFormation service role"), and CDK's
    # deploy role may change every stack of the account and region.
    "CDK's own deploy role, for the worker": ("the worker", with_cdk_s_deploy_role, "on their stack"),
    "any bootstrap's deploy role, for the worker": ("the worker", with_every_deploy_role, "assume role/cdk-"),
    "any role to be passed, for CloudFormation": (
        "CloudFormation",
        lambda model: _with_execution(model, "iam:PassRole", "*", "PassNoOther"),
        "pass role/",
    ),
    "a policy version, for CloudFormation": (
        "CloudFormation",
        lambda model: _with_execution(model, "iam:CreatePolicyVersion", "*", "Limits"),
        "CreatePolicyVersion of policy/cohort-",
    ),
    "a policy's default version, for CloudFormation": (
        "CloudFormation",
        lambda model: _with_execution(model, "iam:SetDefaultPolicyVersion", "*", "Limits"),
        "SetDefaultPolicyVersion of policy/cohort-",
    ),
    "a change of any trust, for CloudFormation": (
        "CloudFormation",
        lambda model: _with_execution(model, "iam:UpdateAssumeRolePolicy", "*"),
        "trust oneself in role/",
    ),
    "a role within no boundary, for CloudFormation": (
        "CloudFormation",
        lambda model: _with_execution(model, "iam:CreateRole", "*"),
        "within nothing",
    ),
    "the end of a boundary, for CloudFormation": (
        "CloudFormation",
        lambda model: _with_execution(model, "iam:DeleteRolePermissionsBoundary", "*", "Unbound"),
        "iam:DeleteRolePermissionsBoundary on role/",
    ),
    "anybody's key, for CloudFormation": (
        "CloudFormation",
        lambda model: _with_execution(model, "iam:CreateAccessKey", "*"),
        "CreateAccessKey for user/operator",
    ),
    "anybody's secret, for CloudFormation": (
        "CloudFormation",
        lambda model: _with_execution(model, "secretsmanager:GetSecretValue", "*"),
        "their secret",
    ),
    "a function's code, for CloudFormation": (
        "CloudFormation",
        lambda model: _with_execution(model, "lambda:UpdateFunctionCode", "*"),
        "their function",
    ),
    "a command on any machine, for CloudFormation": (
        "CloudFormation",
        lambda model: _with_execution(model, "ssm:SendCommand", "*"),
        "a machine of theirs",
    ),
    "a policy of their own, for a member whom no boundary holds": (
        "a member with a key",
        _unbound_member,
        "PutUserPolicy on user/",
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_leads_to_an_administrator_is_found(what: str) -> None:
    who, plant, step = PLANTED[what]
    found = ways_up(plant(shared_account()), STARTS[who])
    assert [way for way in found if step in way], found

"""`manage.py doctor`: Cohort-Bootstrap, its policies, CDK's bootstrap, and what the roles may do."""

from typing import Any

import pytest

from control_plane.doctor import rights
from control_plane.doctor.findings import State
from stacks import bootstrap, names
from stacks.site.deploy_role import deploy_policy
from tests.control_plane.doctor_context import Answer, all_of, context, findings, one, stack, stacks
from tests.stacks.builders import ACCOUNT, REGION, site

DOCUMENTS = bootstrap.policy_documents(ACCOUNT, REGION, site().bucket_patterns) | {
    names.DEPLOY_ROLE: deploy_policy(ACCOUNT, REGION)
}
EXECUTION = [
    {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in bootstrap.execution_arns(ACCOUNT, REGION).split(",")
]
ADMINISTRATOR = {"PolicyName": "AdministratorAccess", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
VERSION = {"Parameter": {"Name": names.cdk_version_parameter(), "Value": "30"}}


def held(documents: dict[str, Any], hidden: tuple[str, ...] = ()) -> dict[str, Answer]:
    """IAM with these policies, of which one is a role's own."""

    def name(asked: dict[str, Any]) -> str:
        return str(asked["PolicyArn"]).rpartition("/")[2]

    def policy(asked: dict[str, Any]) -> Any:
        if name(asked) in hidden:
            return "AccessDenied: User is not authorized"
        there = name(asked) in documents
        return {"Policy": {"DefaultVersionId": "v3"}} if there else "NoSuchEntity: Policy does not exist or is not attachable."

    def of_role(asked: dict[str, Any]) -> Any:
        document = documents.get(asked["RoleName"])
        return {**asked, "PolicyDocument": document} if document else "NoSuchEntity: The role with this name cannot be found."

    return {
        "GetRolePolicy": of_role,
        "GetPolicy": policy,
        "GetPolicyVersion": lambda asked: {"PolicyVersion": {"Document": documents[name(asked)], "VersionId": "v3"}},
    }


def test_a_bootstrap_that_is_whole_is_ready() -> None:
    described = stack()
    described["Stacks"][0]["EnableTerminationProtection"] = True
    assert one("bootstrap", context({"DescribeStacks": described})).state is State.OK


def test_one_without_protection_is_to_be_protected() -> None:
    described = stack()
    described["Stacks"][0]["EnableTerminationProtection"] = False
    found = one("bootstrap", context({"DescribeStacks": described}))
    assert found.state is State.TO_DO
    assert "--enable-termination-protection" in found.advice


def test_one_that_failed_is_to_be_deployed_again() -> None:
    found = one("bootstrap", context({"DescribeStacks": stack("ROLLBACK_COMPLETE")}))
    assert found.state is State.TO_DO
    assert "stacks.bootstrap deploy" in found.advice


def test_one_that_is_not_there_is_step_2_s() -> None:
    found = one("bootstrap", context({"DescribeStacks": stacks(), **held({})}))
    assert (found.state, found.step) == (State.NOT_YET, 2)


def test_where_its_names_are_taken_the_holder_is_told() -> None:
    answers: dict[str, Answer] = {
        "DescribeStacks": stacks(),
        **held(DOCUMENTS),
        "DescribeRegions": {"Regions": [{"RegionName": REGION}]},
        "DescribeStackResources": {"StackResources": []},
    }
    found = one("bootstrap", context(answers))
    assert found.state is State.TO_DO
    assert "cohort-boundary is in this account already" in found.advice


def test_policies_as_this_checkout_makes_them_are_ready() -> None:
    ((state, seen),) = all_of("policies", context(held(DOCUMENTS)))
    assert state == "ok"
    assert all(name in seen for name in DOCUMENTS)


def test_each_older_policy_is_named_until_it_is_renewed() -> None:
    older = {name: {**document, "Statement": document["Statement"][1:]} for name, document in list(DOCUMENTS.items())[:2]}
    found = findings("policies", context(held(DOCUMENTS | older)))
    assert [(row.state, row.seen.split()[0]) for row in found[:2]] == [(State.TO_DO, name) for name in older]
    assert all(finding.advice == "python -m stacks.bootstrap deploy" for finding in found[:2])
    assert found[2].state is State.OK
    assert not any(name + "," in found[2].seen for name in older)


def test_a_role_that_deploys_any_stack_is_named_until_it_is_renewed() -> None:
    any_stack = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}]}
    found = findings("policies", context(held(DOCUMENTS | {names.DEPLOY_ROLE: any_stack})))
    assert (found[0].state, found[0].seen.split()[0]) == (State.TO_DO, names.DEPLOY_ROLE)
    assert found[0].advice == "python -m stacks.bootstrap deploy"


def test_other_patterns_than_site_toml_s_count_as_older() -> None:
    place = context(held(DOCUMENTS), own=site(bucket_patterns=("lab-data-*",)))
    assert ("to do", "cohort-boundary") in [(state, seen.split()[0]) for state, seen in all_of("policies", place)]


def test_missing_policies_are_named_and_none_at_all_are_step_2_s() -> None:
    some = {name: document for name, document in DOCUMENTS.items() if name != "cohort-execution"}
    assert ("to do", "cohort-execution missing") in all_of("policies", context(held(some)))
    none = one("policies", context(held({})))
    assert (none.state, none.step) == (State.NOT_YET, 2)


def test_policies_that_may_not_be_read_are_no_mistake_of_theirs() -> None:
    found = findings("policies", context(held(DOCUMENTS, hidden=("cohort-execution",))))
    assert [row.state for row in found] == [State.UNKNOWN, State.OK]
    assert "cohort-execution" in found[0].seen


@pytest.mark.parametrize(
    ("parameter", "described", "state", "word"),
    [
        (VERSION, stacks(CDKToolkit=stack()), State.OK, "version 30"),
        (VERSION, stacks(), State.OK, "another name"),
        (VERSION, stacks(CDKToolkit=stack("UPDATE_ROLLBACK_FAILED")), State.TO_DO, "UPDATE_ROLLBACK_FAILED"),
        ({"Parameter": {"Value": "5"}}, stacks(CDKToolkit=stack()), State.TO_DO, "version 5; 6 is needed"),
        ("ParameterNotFound: ", stacks(CDKToolkit=stack()), State.NOT_YET, names.CDK_QUALIFIER),
        ("AccessDeniedException: no", stacks(), State.UNKNOWN, "GetParameter"),
    ],
)
def test_cdk_s_bootstrap_has_to_be_there_and_new_enough(parameter: Any, described: Any, state: State, word: str) -> None:
    found = one("cdk", context({"GetParameter": parameter, "DescribeStacks": described}))
    assert found.state is state
    assert word in found.seen
    if state in (State.TO_DO, State.NOT_YET):
        assert "cdk bootstrap aws://" in found.advice


def role(*attached: dict[str, str], inline: tuple[str, ...] = ()) -> dict[str, Answer]:
    return {
        "ListAttachedRolePolicies": {"AttachedPolicies": list(attached), "IsTruncated": False},
        "ListRolePolicies": {"PolicyNames": list(inline)},
    }


def test_cloudformation_s_role_has_exactly_the_execution_policies() -> None:
    assert one("execution-role", context(role(*EXECUTION))).state is State.OK


def test_administrator_access_on_cloudformation_s_role_is_said() -> None:
    for attached in ((ADMINISTRATOR,), (*EXECUTION, ADMINISTRATOR)):
        found = findings("execution-role", context(role(*attached)))[0]
        assert found.state is State.TO_DO
        assert "AdministratorAccess" in found.seen
        assert "everything in this account" in found.seen
        assert "--cloudformation-execution-policies" in found.advice


def test_a_policy_that_cloudformation_s_role_lacks_or_has_within_itself_is_said() -> None:
    assert [found for _, found in all_of("execution-role", context(role(*EXECUTION[1:])))] == ["lacks cohort-execution"]
    assert "more (inline)" in one("execution-role", context(role(*EXECUTION, inline=("more",)))).seen


def test_a_role_that_is_not_there_is_step_2_s() -> None:
    found = one("execution-role", context({"ListAttachedRolePolicies": "NoSuchEntity: The role cannot be found."}))
    assert (found.state, found.step) == (State.NOT_YET, 2)


def test_other_bootstraps_of_the_account_are_named_with_what_they_may_do() -> None:
    def listed(*roles: str) -> dict[str, Any]:
        made = [
            {
                "Path": "/",
                "RoleName": name,
                "RoleId": "AROA1234567890123456",
                "Arn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
                "CreateDate": "2026-01-01",
            }
            for name in roles
        ]
        return {"Roles": made, "IsTruncated": False}

    own = names.cdk_role_arn(ACCOUNT, REGION, "cfn-exec-role").rpartition("/")[2]
    other = f"cdk-theirs-cfn-exec-role-{ACCOUNT}-eu-west-1"
    assert one("other-bootstraps", context({"ListRoles": listed(own, "else")})).seen == "none beside Cohort's"
    found = one("other-bootstraps", context({"ListRoles": listed(own, other), **role(ADMINISTRATOR)}))
    assert found.state is State.OK
    assert f"1 more: {other}. Administrators: {other}" in found.seen


def simulated(wrong: tuple[str, ...] = ()) -> dict[str, Answer]:
    """IAM's simulator: every answer as it has to be, save about these actions."""
    expected = [of(ACCOUNT, REGION) for of in (rights.expected_execution, rights.expected_worker, rights.expected_web)]
    allowed = {(item.role, q.action, q.resource) for item in expected for q in item.allowed}

    def decide(asked: dict[str, Any]) -> Any:
        (action,), (resource,) = asked["ActionNames"], asked["ResourceArns"]
        may = (asked["PolicySourceArn"], action, resource) in allowed
        decision = "allowed" if may != (action in wrong) else "implicitDeny"
        return {"EvaluationResults": [{"EvalActionName": action, "EvalDecision": decision}]}

    return {"SimulatePrincipalPolicy": decide}


@pytest.mark.parametrize("name", ["execution-rights", "worker-rights", "web-rights"])
def test_roles_that_may_what_they_need_and_no_more_are_ready(name: str) -> None:
    assert one(name, context(simulated())).state is State.OK


def test_a_right_that_lacks_and_one_too_many_are_named() -> None:
    lacking, too_many = findings("execution-rights", context(simulated(("kms:CreateKey", "iam:CreatePolicyVersion"))))
    assert lacking.seen == "may not kms:CreateKey (the backups' key)"
    assert "iam:CreatePolicyVersion (another boundary)" in too_many.seen
    assert "stacks.bootstrap deploy" in lacking.advice
    assert one("web-rights", context(simulated(("cloudformation:DeleteStack",)))).state is State.TO_DO


def test_whoever_may_not_simulate_is_told_who_may() -> None:
    found = one("worker-rights", context({"SimulatePrincipalPolicy": "AccessDenied: no"}))
    assert found.state is State.UNKNOWN
    assert "administrator" in found.advice


def test_a_role_that_no_stack_made_yet_is_its_step_s() -> None:
    missing: dict[str, Answer] = {"SimulatePrincipalPolicy": "NoSuchEntity: not there"}
    assert [one(name, context(missing)).step for name in ("execution-rights", "worker-rights", "web-rights")] == [2, 3, 3]


def test_an_engineer_s_session_is_looked_up_by_its_role_s_whole_name() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_1"
    caller = {"Account": ACCOUNT, "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Admin_1/ada"}
    role = {"Path": "/x/", "RoleName": "r", "RoleId": "AROA1234567890123456", "Arn": arn, "CreateDate": "2026-01-01"}
    place = context(
        {
            "GetCallerIdentity": caller,
            "GetRole": {"Role": role},
            "SimulatePrincipalPolicy": {
                "EvaluationResults": [{"EvalActionName": "iam:CreateRole", "EvalDecision": "implicitDeny"}]
            },
        }
    )
    found = one("administrator", place)
    assert found.state is State.TO_DO
    assert "iam:CreatePolicy" in found.seen
    assert {asked["PolicySourceArn"] for operation, asked in place.session.asked if operation == "SimulatePrincipalPolicy"} == {arn}

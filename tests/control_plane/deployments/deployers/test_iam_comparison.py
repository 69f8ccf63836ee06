"""What lets somebody do more: what is allowed and denied before and after, and not how it is written."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from control_plane.deployments.deployers.iam_comparison import Resources, compare
from control_plane.deployments.plans import StatementChange, plan_from_comparison
from stacks import denials, policies
from stacks.manifest import AnalysisGrant, GroupManifest, Member
from tests.stacks.builders import ADA, GRACE, LISE, group_manifest

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
Properties = dict[str, Any]


def of_group(manifest: GroupManifest) -> Resources:
    """The IAM resources of a group's stack (`stacks.group.group_stack`), without a synthesis."""
    documents = policies.group_policies(manifest)
    access = [{"Ref": f"Access{number}"} for number, _ in enumerate(documents, 1)]
    inline = {denials.ENDED_SESSIONS: denials.role_denial(manifest), "undo": policies.undo_policy(manifest)}
    resources: dict[str, Any] = {
        f"Access{number}": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
        for number, document in enumerate(documents, 1)
    }
    resources["Role"] = role(
        AssumeRolePolicyDocument=policies.role_trust(manifest),
        ManagedPolicyArns=access,
        Policies=[{"PolicyName": name, "PolicyDocument": document} for name, document in inline.items() if document],
    )
    holders = [member for member in manifest.members if member.access == "keys"]
    if holders:
        resources["Group"] = group(denials.key_session_denial(), *([denials.full_denial()] if manifest.suspended else []))
        resources["Group"]["Properties"]["ManagedPolicyArns"] = access
    for member in holders:
        resources[member.username] = user(*([denials.full_denial()] if member.suspended else []))
    return resources


def role(**properties: Any) -> Properties:
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def group(*documents: Any) -> Properties:
    return {"Type": "AWS::IAM::Group", "Properties": {"Policies": [{"PolicyDocument": document} for document in documents]}}


def user(*documents: Any, groups: Iterable[Any] = ({"Ref": "Group"},)) -> Properties:
    inline = [{"PolicyDocument": document} for document in documents]
    return {"Type": "AWS::IAM::User", "Properties": {"Groups": list(groups), "Policies": inline}}


def statement(effect: str, action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def allows(*statements: Any) -> Resources:
    return {"Role": role(Policies=[{"PolicyDocument": {"Statement": list(statements)}}])}


def widening(before: Resources, after: Resources) -> list[StatementChange]:
    return [statement for statement in compare([before], [after], now=NOW) if statement.widens]


def between(before: GroupManifest, after: GroupManifest) -> bool:
    """Whether a plan lets somebody do more by its statements, once it is known who is a member."""
    plan = plan_from_comparison(compare([of_group(before)], [of_group(after)], now=NOW), [])
    return any(statement.widens for statement in plan.for_manifests(before.to_json(), after.to_json()).statements)


def lab(*usernames: str, suspended: Iterable[str] = (), keys: Iterable[str] = (), **more: Any) -> GroupManifest:
    found = tuple(
        Member(username=name, access="keys" if name in keys else "federated", suspended=name in suspended) for name in usernames
    )
    return group_manifest(members=found, **more)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lab(ADA, GRACE, revoked=(LISE,)), lab(ADA, revoked=(GRACE, LISE))),
        (lab(ADA, GRACE, suspended=(ADA,)), lab(ADA, GRACE, suspended=(ADA, GRACE))),
        (lab(ADA, GRACE, suspended=(ADA,)), lab(GRACE, revoked=(ADA,))),
        (lab(ADA, GRACE, suspended=(ADA,), keys=(ADA,)), lab(GRACE, revoked=(ADA,))),
        (lab(ADA, GRACE, keys=(ADA,)), lab(GRACE, revoked=(ADA,))),
        (lab(ADA, GRACE, keys=(ADA, GRACE), suspended=(ADA,)), lab(ADA, GRACE, suspended=(ADA, GRACE), keys=(ADA, GRACE))),
        (lab(ADA, GRACE, revoked=(LISE,)), lab(ADA, GRACE, revoked=(LISE,), suspended=(GRACE,))),
        (lab(ADA, revoked=(LISE,)), lab(ADA, suspended=(ADA,))),
        (lab(ADA, GRACE, sessions_not_before=1000), lab(ADA, sessions_not_before=2000)),
        (lab(ADA, GRACE, sessions_not_before=1000), lab(ADA, revoked=(GRACE,))),
        (lab(ADA, GRACE, revoked=(LISE,)), lab(ADA, revoked=(LISE, GRACE), sessions_not_before=1000)),
    ],
    ids=[
        "removed beside one removed before",
        "suspended beside one suspended before",
        "a suspended one removed",
        "a suspended key holder removed",
        "the last key holder removed",
        "key holders suspended",
        "suspended beside one removed before",
        "long ago removed, another suspended",
        "a later cutoff",
        "a cutoff that is over",
        "a cutoff beside names",
    ],
)
def test_a_removal_or_suspension_lets_nobody_do_more_wherever_there_was_one_before(
    before: GroupManifest, after: GroupManifest
) -> None:
    """A deny list that grows looks like one removed and one added."""
    assert not between(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lab(ADA, GRACE, suspended=(ADA, GRACE)), lab(ADA, GRACE, suspended=(GRACE,))),
        (lab(ADA, GRACE, keys=(ADA, GRACE), suspended=(ADA, GRACE)), lab(ADA, GRACE, keys=(ADA, GRACE), suspended=(ADA,))),
        (group_manifest(suspended=True), group_manifest()),
        (lab(ADA, sessions_not_before=int(NOW.timestamp()) - 60), lab(ADA)),
    ],
    ids=["resumed", "a key holder resumed", "the group resumed", "a cutoff dropped before the sessions are over"],
)
def test_a_deny_list_that_shrinks_lets_somebody_do_more(before: GroupManifest, after: GroupManifest) -> None:
    assert between(before, after)


def analyses(*buckets: str, access: Any = "read-write") -> tuple[AnalysisGrant, ...]:
    return tuple(AnalysisGrant(bucket=bucket, access=access) for bucket in buckets)


MANY = [f"cohort-analysis-of-a-long-name-{number:02}" for number in range(40)]


def test_an_analysis_that_is_revoked_lets_nobody_do_more_though_the_rest_moves_to_other_policies() -> None:
    before, after = (group_manifest(analyses=analyses(*some)) for some in (MANY, MANY[1:]))
    assert len(policies.group_policies(after)) > 1
    assert not between(before, after)
    assert between(after, before)


def test_writing_that_is_taken_away_lets_nobody_do_more_and_given_does() -> None:
    before, after = (group_manifest(analyses=analyses("cohort-a", access=kind)) for kind in ("read-write", "read-only"))
    assert not between(before, after)
    assert between(after, before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([statement("Allow", ["s3:Get*"])], [statement("Allow", ["s3:GetObject", "S3:getobjecttagging"])]),
        ([statement("Allow", ["s3:A", "s3:B"])], [statement("Allow", "s3:A"), statement("Allow", "s3:B", Sid="Two")]),
        ([statement("Allow", "s3:A"), statement("Allow", "s3:B")], [statement("Allow", ["s3:B", "s3:A"])]),
        ([statement("Allow", resource="a/*")], [statement("Allow", resource=["a/b/*", "a/c"])]),
        ([statement("Deny", "s3:A")], [statement("Deny", "s3:*")]),
        ([statement("Deny", "*", Condition={"StringLike": {"aws:userid": ["*:a"]}})], [statement("Deny", "*")]),
        (
            [{"Effect": "Deny", "NotAction": ["s3:*", "kms:*"], "Resource": "*"}],
            [{"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}],
        ),
        ([statement("Allow")], [statement("Allow", Condition={"Bool": {"aws:SecureTransport": "true"}})]),
        (
            [statement("Deny", Condition={"StringNotLike": {"s3:prefix": ["a", "b"]}})],
            [statement("Deny", Condition={"StringNotLike": {"S3:Prefix": "a"}})],
        ),
    ],
)
def test_the_same_or_less_in_other_words_lets_nobody_do_more(before: list[Any], after: list[Any]) -> None:
    assert widening(allows(*before), allows(*after)) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([statement("Allow", "s3:GetObject")], [statement("Allow", "s3:Get*")]),
        ([statement("Allow", "s3:A", "x")], [statement("Allow", "s3:A", "y")]),
        ([statement("Allow", "s3:A", "x"), statement("Allow", "s3:B", "y")], [statement("Allow", ["s3:A", "s3:B"], ["x", "y"])]),
        ([statement("Deny", "*")], [statement("Deny", "*", Condition={"Bool": {"aws:SecureTransport": "false"}})]),
        ([statement("Deny", ["s3:A", "s3:B"])], [statement("Deny", "s3:A")]),
        ([statement("Deny")], [{"Effect": "Deny", "NotAction": "s3:GetObject", "Resource": "*"}]),
        ([statement("Deny", resource="a/${x}")], [statement("Deny", resource="a/????")]),
        (
            [statement("Deny", Condition={"StringNotLike": {"s3:prefix": ["a"]}})],
            [statement("Deny", Condition={"StringNotLike": {"s3:prefix": ["a", "b"]}})],
        ),
        (
            [statement("Deny", Condition={"DateLessThan": {"aws:TokenIssueTime": "2027-01-01T11:59:00Z"}})],
            [statement("Deny", Condition={"DateLessThan": {"aws:TokenIssueTime": "2027-01-01T11:58:00Z"}})],
        ),
        ([statement("Allow")], [{"Fn::If": ["x", statement("Allow"), {"Ref": "AWS::NoValue"}]}]),
    ],
)
def test_what_is_more_is_told_whatever_its_words(before: list[Any], after: list[Any]) -> None:
    assert widening(allows(*before), allows(*after)) != []


def test_a_denial_that_goes_with_its_group_lets_in_nobody_but_those_who_stay() -> None:
    denied = denials.key_session_denial()
    held = {"Group": group(denied), "Ada": user()}
    assert widening(held, {}) == []
    assert widening(held, {"Ada": user(groups=[])}) != []
    assert widening(held, {"Group": group(), "Ada": user()}) != []
    nested: Resources = {"Ada": user(groups=[{"Ref": "referencetoGroup"}])}
    assert [statement for statement in compare([{"Group": group(denied)}, nested], [{}, nested], now=NOW) if statement.widens]


def test_who_may_assume_a_role_and_what_bounds_it_count_too() -> None:
    def trust(*accounts: str, **more: Any) -> Resources:
        document = {"Statement": [statement("Allow", "sts:AssumeRole", Principal={"AWS": list(accounts)})]}
        return {"Role": role(AssumeRolePolicyDocument=document, **more)}

    assert widening(trust("1", "2"), trust("1")) == []
    assert [statement.principal for statement in widening(trust("1"), trust("1", "2"))] == ["AWS:1, AWS:2"]
    assert widening(trust("1"), trust("1", PermissionsBoundary="arn:b")) == []
    assert [statement.effect for statement in widening(trust("1", PermissionsBoundary="arn:b"), trust("1"))] == ["Boundary"]
    assert widening(trust("1"), trust("1", ManagedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"])) != []


def test_a_policy_that_comes_to_be_attached_to_somebody_else_lets_them_do_more() -> None:
    document = {"Statement": [statement("Allow")]}
    policy = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
    held = {"Access": policy, "Role": role(ManagedPolicyArns=[{"Ref": "Access"}]), "Group": group()}
    wanted = {**held, "Group": {"Type": "AWS::IAM::Group", "Properties": {"ManagedPolicyArns": [{"Ref": "Access"}]}}}
    assert [statement.principal for statement in widening(held, wanted)] == ["Group"]
    assert widening(wanted, held) == []


def test_a_new_group_s_statements_are_told_once_for_all_who_carry_them() -> None:
    found = compare([{}], [of_group(lab(ADA, keys=(ADA,)))], now=NOW)
    reading = [item for item in found if "s3:GetObject," in item.actions]
    assert [(statement.change, statement.effect, statement.principal, statement.widens) for statement in reading] == [
        ("add", "Allow", "Group, Role", True)
    ]

"""What policies' documents let a principal reach: worked out alone from them, and never less than IAM would allow."""

from typing import Any

import pytest

from control_plane.access.review.comparison import granted_patterns
from control_plane.access.review.effective_access import ALLOW_ALL, KeyPattern, Right, covers, evaluate_policies
from stacks import denials, policies
from stacks.manifest import AnalysisGrant, GroupManifest

BOUNDARY = policies.boundary(["cohort-*"], "us-east-1")


def manifest(**more: Any) -> GroupManifest:
    values: dict[str, Any] = {
        "slug": "example-lab",
        "generation": 1,
        "account": "111122223333",
        "region": "us-east-1",
        "members": [],
        "analyses": [
            AnalysisGrant(bucket="cohort-ephys", access="read-write"),
            AnalysisGrant(bucket="cohort-video", access="read-only"),
        ],
    }
    return GroupManifest(**(values | more))


def allow(actions: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Statement": {"Effect": "Allow", "Action": actions, "Resource": resource, **more}}


def deny(actions: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Deny", "Action": actions, "Resource": resource, **more}]}


def test_what_a_group_s_own_policies_give_is_what_is_granted() -> None:
    found = evaluate_policies(policies.group_policies(manifest()), BOUNDARY).in_buckets()
    assert found["cohort-ephys"] == granted_patterns("example-lab", writes=True, is_role=False)
    assert found["cohort-video"] == granted_patterns("example-lab", writes=False, is_role=False)
    assert set(found) == {"cohort-ephys", "cohort-video"}


def test_the_role_may_undo_deletions_besides() -> None:
    undo = policies.undo_policy(manifest())
    assert undo is not None
    found = evaluate_policies([*policies.group_policies(manifest()), undo], BOUNDARY)
    assert found.in_buckets()["cohort-ephys"] == granted_patterns("example-lab", writes=True, is_role=True)
    assert found.non_s3_actions == ()


def test_the_boundary_bounds_what_a_policy_gives() -> None:
    found = evaluate_policies([ALLOW_ALL], BOUNDARY)
    assert found.patterns[Right.READ] == {KeyPattern("cohort-*", "*")}
    assert found.non_s3_actions == ()
    assert evaluate_policies([allow("s3:GetObject", "arn:aws:s3:::elsewhere/*")], BOUNDARY).patterns == {}
    assert evaluate_policies([allow("s3:GetObject", "arn:aws:s3:::cohort-state-1/*")], BOUNDARY).patterns == {}


def test_without_a_boundary_everything_counts() -> None:
    found = evaluate_policies([allow(["s3:*", "iam:CreateUser"], "*")])
    assert found.patterns[Right.WRITE] == {KeyPattern("*", "*")}
    assert found.non_s3_actions == ("iam:CreateUser", "s3:*")


@pytest.mark.parametrize(
    ("document", "places"),
    [
        (allow("s3:getobject", "arn:aws:s3:::b/k"), {KeyPattern("b", "k")}),
        (allow("s3:Get*", ["arn:aws:s3:::b/k/*", "arn:aws:s3:::b/k/in/*"]), {KeyPattern("b", "k/*")}),
        (allow("s3:GetObject", "arn:aws:s3:::b"), set()),
        (allow("s3:GetObject", "arn:aws:s3:::b*"), {KeyPattern("b*", "*")}),
        (allow("s3:GetObject", "arn:aws:sqs:::b"), set()),
        ({"Statement": [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]}, {KeyPattern("*", "*")}),
        ({"Statement": [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}]}, set()),
        ({"Statement": [{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b/*"}]}, {KeyPattern("*", "*")}),
        ({}, set()),
    ],
)
def test_the_places_of_a_statement(document: dict[str, Any], places: set[KeyPattern]) -> None:
    assert evaluate_policies([document]).patterns.get(Right.READ, set()) == places


def test_a_right_to_list_is_bound_to_its_prefix() -> None:
    bound = allow("s3:ListBucket", "arn:aws:s3:::b", Condition={"StringLike": {"s3:prefix": ["lab/*"]}})
    assert evaluate_policies([bound]).patterns == {Right.LIST: {KeyPattern("b", "lab/*")}}
    assert evaluate_policies([allow("s3:ListBucket", "arn:aws:s3:::b")]).patterns == {Right.LIST: {KeyPattern("b", "*")}}


def test_a_denial_takes_away_what_it_covers_and_a_conditional_one_nothing() -> None:
    wide = allow("s3:GetObject", "arn:aws:s3:::b/*")
    assert evaluate_policies([wide, deny("s3:Get*", "arn:aws:s3:::*")]).patterns == {}
    kept = {Right.READ: {KeyPattern("b", "*")}}
    assert evaluate_policies([wide, deny("s3:Get*", "arn:aws:s3:::b/secret/*")]).patterns == kept
    assert evaluate_policies([wide, deny("s3:*", "*", Condition={"Bool": {"aws:SecureTransport": "false"}})]).patterns == kept


def test_sessions_that_are_shut_out_are_named() -> None:
    shut = denials.role_denial(manifest(revoked=["maaaaaaaaaaa"]))
    assert shut is not None
    found = evaluate_policies([*policies.group_policies(manifest()), shut], BOUNDARY)
    assert (found.denies("maaaaaaaaaaa"), found.denies("mbbbbbbbbbbb"), found.is_denied) == (True, False, False)
    assert evaluate_policies([ALLOW_ALL, denials.full_denial()]).is_denied


def test_patterns_are_compared_as_iam_does() -> None:
    assert covers("lab/*", "lab/inputs/*")
    assert not covers("lab/inputs/*", "lab/*")
    assert covers("a?c", "abc")
    assert not covers("a[b]c", "abc")


def test_keys_that_s3_alone_may_use_give_nobody_more() -> None:
    by_s3 = {"Condition": {"StringLike": {"kms:ViaService": "s3.*"}}}
    assert evaluate_policies([allow(["kms:Decrypt", "kms:GenerateDataKey"], "*", **by_s3)]).non_s3_actions == ()
    by_anything = {"Condition": {"StringLike": {"kms:ViaService": "*"}}}
    assert evaluate_policies([allow(["kms:Decrypt"], "*", **by_anything)]).non_s3_actions == ("kms:Decrypt",)
    assert evaluate_policies([allow(["kms:Decrypt", "iam:CreateUser"], "*", **by_s3)]).non_s3_actions == (
        "iam:CreateUser",
        "kms:Decrypt",
    )

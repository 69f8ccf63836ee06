"""What policies' documents let a principal reach: worked out alone from them, and never less than IAM would allow."""

from typing import Any

import pytest

from control_plane.access.review.comparison import granted_keys
from control_plane.access.review.effective_access import ANYTHING, Can, Place, covers, work_out
from stacks import policies
from stacks.manifest import AnalysisGrant, GroupManifest, denials

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
    found = work_out(policies.group_policies(manifest()), BOUNDARY).in_buckets()
    assert found["cohort-ephys"] == granted_keys("example-lab", writes=True, is_role=False)
    assert found["cohort-video"] == granted_keys("example-lab", writes=False, is_role=False)
    assert set(found) == {"cohort-ephys", "cohort-video"}


def test_the_role_may_undo_deletions_besides() -> None:
    undo = policies.undo_policy(manifest())
    assert undo is not None
    found = work_out([*policies.group_policies(manifest()), undo], BOUNDARY)
    assert found.in_buckets()["cohort-ephys"] == granted_keys("example-lab", writes=True, is_role=True)
    assert found.beyond == ()


def test_the_boundary_bounds_what_a_policy_gives() -> None:
    found = work_out([ANYTHING], BOUNDARY)
    assert found.places[Can.READ] == {Place("cohort-*", "*")}
    assert found.beyond == ()
    assert work_out([allow("s3:GetObject", "arn:aws:s3:::elsewhere/*")], BOUNDARY).places == {}
    assert work_out([allow("s3:GetObject", "arn:aws:s3:::cohort-state-1/*")], BOUNDARY).places == {}


def test_without_a_boundary_everything_counts() -> None:
    found = work_out([allow(["s3:*", "iam:CreateUser"], "*")])
    assert found.places[Can.WRITE] == {Place("*", "*")}
    assert found.beyond == ("iam:CreateUser", "s3:*")


@pytest.mark.parametrize(
    ("document", "places"),
    [
        (allow("s3:getobject", "arn:aws:s3:::b/k"), {Place("b", "k")}),
        (allow("s3:Get*", ["arn:aws:s3:::b/k/*", "arn:aws:s3:::b/k/in/*"]), {Place("b", "k/*")}),
        (allow("s3:GetObject", "arn:aws:s3:::b"), set()),
        (allow("s3:GetObject", "arn:aws:s3:::b*"), {Place("b*", "*")}),
        (allow("s3:GetObject", "arn:aws:sqs:::b"), set()),
        ({"Statement": [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]}, {Place("*", "*")}),
        ({"Statement": [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}]}, set()),
        ({"Statement": [{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b/*"}]}, {Place("*", "*")}),
        ({}, set()),
    ],
)
def test_the_places_of_a_statement(document: dict[str, Any], places: set[Place]) -> None:
    assert work_out([document]).places.get(Can.READ, set()) == places


def test_a_right_to_list_is_bound_to_its_prefix() -> None:
    bound = allow("s3:ListBucket", "arn:aws:s3:::b", Condition={"StringLike": {"s3:prefix": ["lab/*"]}})
    assert work_out([bound]).places == {Can.LIST: {Place("b", "lab/*")}}
    assert work_out([allow("s3:ListBucket", "arn:aws:s3:::b")]).places == {Can.LIST: {Place("b", "*")}}


def test_a_denial_takes_away_what_it_covers_and_a_conditional_one_nothing() -> None:
    wide = allow("s3:GetObject", "arn:aws:s3:::b/*")
    assert work_out([wide, deny("s3:Get*", "arn:aws:s3:::*")]).places == {}
    kept = {Can.READ: {Place("b", "*")}}
    assert work_out([wide, deny("s3:Get*", "arn:aws:s3:::b/secret/*")]).places == kept
    assert work_out([wide, deny("s3:*", "*", Condition={"Bool": {"aws:SecureTransport": "false"}})]).places == kept


def test_sessions_that_are_shut_out_are_named() -> None:
    shut = denials.role_denial(manifest(revoked=["maaaaaaaaaaa"]))
    assert shut is not None
    found = work_out([*policies.group_policies(manifest()), shut], BOUNDARY)
    assert (found.denies("maaaaaaaaaaa"), found.denies("mbbbbbbbbbbb"), found.is_denied) == (True, False, False)
    assert work_out([ANYTHING, denials.full_denial()]).is_denied


def test_patterns_are_compared_as_iam_does() -> None:
    assert covers("lab/*", "lab/inputs/*")
    assert not covers("lab/inputs/*", "lab/*")
    assert covers("a?c", "abc")
    assert not covers("a[b]c", "abc")


def test_keys_that_s3_alone_may_use_give_nobody_more() -> None:
    by_s3 = {"Condition": {"StringLike": {"kms:ViaService": "s3.*"}}}
    assert work_out([allow(["kms:Decrypt", "kms:GenerateDataKey"], "*", **by_s3)]).beyond == ()
    by_anything = {"Condition": {"StringLike": {"kms:ViaService": "*"}}}
    assert work_out([allow(["kms:Decrypt"], "*", **by_anything)]).beyond == ("kms:Decrypt",)
    assert work_out([allow(["kms:Decrypt", "iam:CreateUser"], "*", **by_s3)]).beyond == ("iam:CreateUser", "kms:Decrypt")

"""What the policies allow, and that they fit IAM's limits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks import denials, names, policies
from stacks.manifest import MOST_ANALYSES, MOST_REVOKED, AnalysisGrant, Member
from tests.stacks.builders import GRACE, LISE, group_manifest

LONGEST_SLUG = "s" * 32


def test_the_largest_group_fits_ten_policies_of_iam_s_size() -> None:
    longest = [f"{number:03d}{'b' * 60}" for number in range(MOST_ANALYSES)]
    manifest = group_manifest(
        slug=LONGEST_SLUG,
        region="us-gov-west-1",
        analyses=tuple(AnalysisGrant(bucket=name, access="read-write") for name in longest),
    )
    documents = policies.group_policies(manifest)
    assert len(documents) <= policies.POLICIES_PER_PRINCIPAL
    assert max(policies.size(document) for document in documents) <= policies.POLICY_CHARACTERS
    covered = json.dumps(documents)
    assert all(f"arn:aws-us-gov:s3:::{name}/{LONGEST_SLUG}/inputs/*" in covered for name in longest)


@given(st.lists(st.integers(3, 62), min_size=1, max_size=60))
def test_a_boundary_is_one_that_iam_takes_or_is_refused(lengths: list[int]) -> None:
    patterns = [f"{number:03d}".ljust(length, "b") + "*" for number, length in enumerate(lengths)]
    try:
        document = policies.boundary(patterns, "us-gov-west-1")
    except policies.PolicyTooLarge:
        assert sum(lengths) > 1500
        return
    assert policies.size(document) <= policies.POLICY_CHARACTERS


def test_the_boundary_allows_nothing_but_s3_on_buckets_of_these_names() -> None:
    for statement in policies.boundary(["cohort-*"], "us-east-1")["Statement"]:
        if statement["Sid"] == "Keys":
            # What S3 itself asks of a key for its caller.
            assert statement["Condition"] == {"StringLike": {"kms:ViaService": "s3.*"}}
        elif statement["Effect"] == "Allow":
            assert all(action.startswith("s3:") for action in statement["Action"])
            assert set(statement["Resource"]) <= {"arn:aws:s3:::cohort-*", "arn:aws:s3:::cohort-*/*"}


def test_the_boundary_denies_the_site_s_own_buckets_though_their_names_fit() -> None:
    (never,) = (one for one in policies.boundary(["cohort-*"], "us-east-1")["Statement"] if one["Sid"] == "NeverOurOwn")
    assert never["Effect"] == "Deny"
    assert never["Action"] == "s3:*"
    assert never["Resource"] == ["arn:aws:s3:::cohort-state-*", "arn:aws:s3:::cohort-backups-*", "arn:aws:s3:::cdk-*"]


def test_a_boundary_without_patterns_is_refused() -> None:
    with pytest.raises(names.NameRefused, match="no pattern"):
        policies.boundary([], "us-east-1")


def test_a_read_only_grant_writes_nothing() -> None:
    manifest = group_manifest(analyses=(AnalysisGrant(bucket="cohort-ephys", access="read-only"),))
    text = json.dumps(policies.group_policies(manifest))
    assert "s3:GetObject" in text
    assert "s3:PutObject" not in text
    assert "s3:DeleteObject" not in text


def test_every_resource_lies_under_the_group_s_own_prefix() -> None:
    (document,) = policies.group_policies(group_manifest())
    for statement in document["Statement"]:
        if statement["Sid"] in ("List", "Locate"):
            assert statement["Resource"] == ["arn:aws:s3:::cohort-ephys"]
        else:
            assert all(arn.startswith("arn:aws:s3:::cohort-ephys/example-lab/") for arn in statement["Resource"])
    assert document["Statement"][1]["Condition"] == {"StringLike": {"s3:prefix": ["example-lab/*"]}}


def test_key_holders_can_end_no_version_and_the_role_only_where_it_may_write() -> None:
    grants = (AnalysisGrant(bucket="cohort-ephys", access="read-write"), AnalysisGrant(bucket="cohort-video", access="read-only"))
    manifest = group_manifest(analyses=grants)
    assert "DeleteObjectVersion" not in json.dumps(policies.group_policies(manifest))
    document = policies.undo(manifest)
    assert document is not None
    (statement,) = document["Statement"]
    assert statement["Action"] == ["s3:DeleteObjectVersion"]
    assert statement["Resource"] == ["arn:aws:s3:::cohort-ephys/example-lab/*"]


def test_who_only_reads_has_nothing_to_undo() -> None:
    assert policies.undo(group_manifest(analyses=(AnalysisGrant(bucket="cohort-ephys", access="read-only"),))) is None
    assert policies.undo(group_manifest(analyses=())) is None


def test_undoing_and_ended_sessions_together_fit_the_role_s_inline_policies() -> None:
    members = tuple(f"m{number:05d}".translate(str.maketrans("0189", "wxyz")).ljust(12, "a") for number in range(MOST_REVOKED))
    manifest = group_manifest(
        slug=LONGEST_SLUG,
        region="us-gov-west-1",
        members=(),
        analyses=tuple(AnalysisGrant(bucket=f"{number:03d}{'b' * 60}", access="read-write") for number in range(MOST_ANALYSES)),
        revoked=members,
        sessions_not_before=2**33,
    )
    documents = [document for document in (policies.undo(manifest), denials.of_role(manifest)) if document]
    assert len(documents) == 2
    assert sum(map(policies.size, documents)) <= policies.INLINE_CHARACTERS


def test_removed_members_sessions_are_denied_by_name() -> None:
    document = denials.of_role(group_manifest(revoked=(LISE,)))
    assert document is not None
    (statement,) = document["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"StringLike": {"aws:userid": [f"*:{LISE}"]}}
    assert GRACE not in json.dumps(document)


def test_a_cutoff_ends_all_older_sessions() -> None:
    document = denials.of_role(group_manifest(sessions_not_before=1_700_000_000))
    assert document is not None
    assert document["Statement"][0]["Condition"] == {"DateLessThan": {"aws:TokenIssueTime": "2023-11-14T22:13:20Z"}}


def test_nothing_is_denied_where_nobody_was_removed() -> None:
    assert denials.of_role(group_manifest()) is None


def test_suspended_members_and_groups_are_denied_by_the_role_too() -> None:
    members = (Member(username=LISE, access="federated", suspended=True), Member(username=GRACE, access="federated"))
    document = denials.of_role(group_manifest(members=members))
    assert document is not None
    assert document["Statement"][0]["Condition"] == {"StringLike": {"aws:userid": [f"*:{LISE}"]}}
    whole = denials.of_role(group_manifest(suspended=True))
    assert whole is not None
    assert whole["Statement"] == [{"Sid": "SuspendedGroup", "Effect": "Deny", "Action": "*", "Resource": "*"}]

"""What the policies allow, and that they fit IAM's limits."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks import denials, names, policies
from stacks.manifest import MAX_ANALYSES, MAX_CUT_OFFS, MAX_REVOKED, AnalysisGrant, Member
from tests.stacks.builders import GRACE, LISE, group_manifest
from tests.stacks.simulation import Call, decide

LONGEST_SLUG = "s" * 32


def test_the_largest_group_fits_ten_policies_of_iam_s_size() -> None:
    longest = [f"{number:03d}{'b' * 60}" for number in range(MAX_ANALYSES)]
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
    (never,) = (
        statement for statement in policies.boundary(["cohort-*"], "us-east-1")["Statement"] if statement["Sid"] == "NeverOurOwn"
    )
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
    document = policies.undo_policy(manifest)
    assert document is not None
    (statement,) = document["Statement"]
    assert statement["Action"] == ["s3:DeleteObjectVersion"]
    assert statement["Resource"] == ["arn:aws:s3:::cohort-ephys/example-lab/*"]


def test_who_only_reads_has_nothing_to_undo() -> None:
    assert policies.undo_policy(group_manifest(analyses=(AnalysisGrant(bucket="cohort-ephys", access="read-only"),))) is None
    assert policies.undo_policy(group_manifest(analyses=())) is None


def test_undoing_and_ended_sessions_together_fit_the_role_s_inline_policies() -> None:
    members = tuple(f"m{number:05d}".translate(str.maketrans("0189", "wxyz")).ljust(12, "a") for number in range(MAX_REVOKED))
    manifest = group_manifest(
        slug=LONGEST_SLUG,
        region="us-gov-west-1",
        members=tuple(cut_off(username, 2**33 - number) for number, username in enumerate(members[:60])),
        analyses=tuple(AnalysisGrant(bucket=f"{number:03d}{'b' * 60}", access="read-write") for number in range(MAX_ANALYSES)),
        revoked=members[60:],
        sessions_not_before=2**33,
    )
    documents = [document for document in (policies.undo_policy(manifest), denials.role_denial(manifest)) if document]
    assert len(documents) == 2
    assert sum(map(policies.size, documents)) <= policies.INLINE_CHARACTERS


def test_removed_members_sessions_are_denied_by_name() -> None:
    document = denials.role_denial(group_manifest(revoked=(LISE,)))
    assert document is not None
    (statement,) = document["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"StringLike": {"aws:userid": [f"*:{LISE}"]}}
    assert GRACE not in json.dumps(document)


def test_a_cutoff_ends_all_older_sessions() -> None:
    document = denials.role_denial(group_manifest(sessions_not_before=1_700_000_000))
    assert document is not None
    assert document["Statement"][0]["Condition"] == {"DateLessThan": {"aws:TokenIssueTime": "2023-11-14T22:13:20Z"}}


def cut_off(username: str, moment: int) -> Member:
    return Member(username=username, access="federated", sessions_not_before=moment)


def test_a_member_s_own_cutoff_ends_that_member_s_older_sessions_alone() -> None:
    document = denials.role_denial(
        group_manifest(members=(cut_off(LISE, 1_700_000_000), Member(username=GRACE, access="federated")))
    )
    assert document is not None
    (statement,) = document["Statement"]
    assert statement["Condition"] == {
        "StringLike": {"aws:userid": [f"*:{LISE}"]},
        "DateLessThan": {"aws:TokenIssueTime": "2023-11-14T22:13:20Z"},
    }


def test_whoever_is_suspended_needs_no_cutoff_beside_that() -> None:
    suspended = Member(username=LISE, access="federated", suspended=True, sessions_not_before=1_700_000_000)
    document = denials.role_denial(group_manifest(members=(suspended,)))
    assert document is not None
    assert [statement["Sid"] for statement in document["Statement"]] == ["ShutOut"]


def test_cutoffs_at_many_moments_share_statements_and_none_is_earlier_than_asked() -> None:
    asked = {f"m{'b' * 10}{letter}": 1_700_000_000 + 60 * number for number, letter in enumerate("abcdefg")}
    found = group_manifest(members=tuple(cut_off(name, moment) for name, moment in asked.items())).cut_offs
    assert len(found) == MAX_CUT_OFFS
    assert sorted(name for _, people in found for name in people) == sorted(asked)
    for moment, people in found:
        at = datetime.fromisoformat(moment).timestamp()
        assert all(at >= asked[name] for name in people)
    newest = [moment for moment, _ in found][1:]
    assert newest == ["2023-11-14T22:18:20Z", "2023-11-14T22:19:20Z"], "whoever was last is not moved"


def test_nothing_is_denied_where_nobody_was_removed() -> None:
    assert denials.role_denial(group_manifest()) is None


def test_suspended_members_and_groups_are_denied_by_the_role_too() -> None:
    members = (Member(username=LISE, access="federated", suspended=True), Member(username=GRACE, access="federated"))
    document = denials.role_denial(group_manifest(members=members))
    assert document is not None
    assert document["Statement"][0]["Condition"] == {"StringLike": {"aws:userid": [f"*:{LISE}"]}}
    whole = denials.role_denial(group_manifest(suspended=True))
    assert whole is not None
    assert whole["Statement"] == [{"Sid": "SuspendedGroup", "Effect": "Deny", "Action": "*", "Resource": "*"}]


def test_members_tag_what_they_write_and_never_with_the_archive_s_tag() -> None:
    inputs, results, other = (
        f"arn:aws:s3:::cohort-ephys/{key}" for key in ("example-lab/inputs/a", "example-lab/results/a", "x/inputs/a")
    )
    archive = {"s3:RequestObjectTagKeys": ["session", names.ARCHIVE_TAG]}
    own = {"s3:RequestObjectTagKeys": ["session"]}
    expected: list[tuple[Call, bool]] = [
        (Call("s3:GetObjectTagging", inputs), True),
        (Call("s3:GetObjectTagging", results), True),
        (Call("s3:GetObjectTagging", other), False),
        (Call("s3:PutObjectTagging", inputs, own), True),
        (Call("s3:PutObjectTagging", results, own), False),
        (Call("s3:PutObjectTagging", other, own), False),
        (Call("s3:PutObjectTagging", inputs, archive), False),
        (Call("s3:PutObject", inputs), True),
        (Call("s3:PutObject", inputs, own), True),
        (Call("s3:PutObject", inputs, archive), False),
    ]
    (document,) = policies.group_policies(group_manifest())
    calls = [call for call, _ in expected]
    boundary = policies.boundary(["cohort-*"], "us-east-1")
    member = "arn:aws:iam::111122223333:user/cohort/example-lab/maaaaaaaaaaa"
    decided = decide(calls, {"group": document}, boundary=boundary, principal=member)
    assert list(zip(calls, decided, strict=True)) == expected

"""What a deployment will change for people, and whether that needs a second administrator."""

import pytest

from control_plane.deployments.models import Deployment
from control_plane.deployments.plans import PeopleChange, Plan, ResourceChange, StatementChange, needs_approval, people_changes
from stacks.manifest import AnalysisGrant, ManifestError, Member
from tests.control_plane.fakes import configure
from tests.stacks.builders import ADA, GRACE, LISE, group_manifest, platform_manifest

STATEMENT = StatementChange("add", "Allow", "s3:GetObject", "*", "AWS:*", "", widens=True)


def changes(before, after):
    return [
        (change.kind, change.name, change.change, change.widens)
        for change in people_changes(before.to_json() if before else "", after.to_json())
    ]


def with_members(**access):
    members = tuple(Member(username=name, access=kind) for name, kind in access.items())
    return group_manifest(members=members, analyses=())


def with_analyses(**access):
    analyses = tuple(AnalysisGrant(bucket=name, access=kind) for name, kind in access.items())
    return group_manifest(members=(), analyses=analyses)


def test_it_works():
    before = with_members(**{ADA: "keys", GRACE: "federated"})
    after = with_members(**{ADA: "keys", LISE: "federated"})
    assert changes(before, after) == [("member", LISE, "joins", True), ("member", GRACE, "leaves", False)]


def test_where_aws_holds_nothing_everybody_joins():
    assert changes(None, group_manifest()) == [
        ("member", ADA, "joins", True),
        ("member", GRACE, "joins", True),
        ("analysis", "cohort-ephys", "joins", True),
    ]


def test_the_same_people_are_no_change():
    assert changes(group_manifest(generation=1), group_manifest(generation=2, tags={"cost-centre": "7"})) == []


@pytest.mark.parametrize(("before", "after", "widens"), [("federated", "keys", True), ("keys", "federated", False)])
def test_a_key_is_more_than_none(before, after, widens):
    assert changes(with_members(**{ADA: before}), with_members(**{ADA: after})) == [("member", ADA, "changes", widens)]


def test_a_rotated_key_gives_nobody_more():
    first, second = (group_manifest(members=(Member(username=ADA, access="keys", key_serial=number),)) for number in (1, 2))
    (change,) = people_changes(first.to_json(), second.to_json())
    assert (change.change, change.detail, change.widens) == ("changes", "keys, serial 2", False)


@pytest.mark.parametrize(("before", "after", "widens"), [("read-only", "read-write", True), ("read-write", "read-only", False)])
def test_writing_is_more_than_reading(before, after, widens):
    assert changes(with_analyses(ephys=before), with_analyses(ephys=after)) == [("analysis", "ephys", "changes", widens)]


def test_the_platform_s_people_are_its_buckets():
    before, after = platform_manifest(buckets=("one", "two")), platform_manifest(buckets=("two", "three"))
    assert changes(before, after) == [("bucket", "three", "joins", True), ("bucket", "one", "leaves", False)]
    assert changes(None, before) == [("bucket", "one", "joins", True), ("bucket", "two", "joins", True)]


def test_a_damaged_manifest_is_named():
    with pytest.raises(ManifestError, match="not JSON"):
        people_changes("", "{")


def test_a_plan_comes_back_from_the_database_as_it_was():
    plan = Plan(
        "broadening",
        [ResourceChange("Role1", "AWS::IAM::Role", "change", ["Policies"])],
        [STATEMENT],
        [PeopleChange("member", ADA, "joins", "federated", widens=True)],
    )
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json({}) == Plan()


@pytest.mark.parametrize(
    ("plan", "broadens"),
    [
        (Plan(), False),
        (Plan(permissions="non-broadening", resources=[ResourceChange("Role1", "AWS::IAM::Role", "add")]), False),
        (Plan(permissions="broadening"), True),
        (Plan(statements=[STATEMENT]), True),
        (Plan(people=[PeopleChange("member", ADA, "joins", "federated", widens=True)]), True),
        (Plan(people=[PeopleChange("member", ADA, "leaves", "federated", widens=False)]), False),
    ],
)
def test_what_lets_somebody_do_more_is_told_by_cdk_or_by_the_manifests(plan, broadens):
    assert plan.broadens is broadens


@pytest.mark.parametrize(
    ("setting", "small", "broad"), [("never", False, False), ("broadening", False, True), ("always", True, True)]
)
def test_the_setting_says_which_plans_need_approval(monkeypatch, setting, small, broad):
    configure(monkeypatch, "plans", require_approval=setting)
    deployment = Deployment(generation=4)
    assert needs_approval(deployment, Plan()) is small
    assert needs_approval(deployment, Plan(permissions="broadening")) is broad


def test_what_was_approved_needs_no_approval_but_what_came_after_does(monkeypatch):
    configure(monkeypatch, "plans", require_approval="always")
    assert not needs_approval(Deployment(generation=4, approved_generation=4), Plan())
    assert needs_approval(Deployment(generation=5, approved_generation=4), Plan())

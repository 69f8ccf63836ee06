"""What somebody changes by hand on AWS: found by the check, and put back by the repair."""

import json

from stacks import names
from tests.conformance.front import Refused
from tests.conformance.step import Need, Steps
from tests.conformance.steps.keys import listing
from tests.conformance.tour import GROUP, KEYS, OTHER, Tour

STEPS = Steps("Drift")
DETECTS: Need = "drift detection"
ADDED = "added-by-hand"


def check(tour: Tour, stack: str) -> list[str]:
    """What the check finds: each as "type, logical id, status". Raises Refused where it did not come to an end."""
    done = tour.front.manage("stack", "check", stack, "--wait", "--timeout", "600", "--json")
    if done.status not in (0, 1):
        raise Refused(f"`stack check` ended with {done.status}: {done.err or done.out}")
    found = done.document
    assert found["drift_state"] in ("in-sync", "drifted"), found
    return [f"{resource['type']} {resource['logical_id']} {resource['status']}" for resource in found["drift"]]


@STEPS.step("Nothing differs before", DETECTS)
def before(tour: Tour) -> None:
    tour.settle()
    for stack in (names.group_stack(GROUP), names.PLATFORM_STACK):
        assert check(tour, stack) == [], stack


@STEPS.step("Rights taken from, and given to, the group's principals by hand are found", DETECTS)
def found(tour: Tour) -> str:
    iam, group = tour.target.client("iam"), names.iam_group(GROUP)
    [policy] = iam.list_attached_group_policies(GroupName=group)["AttachedPolicies"]
    tour.kept["access"] = policy["PolicyArn"]
    iam.detach_group_policy(GroupName=group, PolicyArn=policy["PolicyArn"])
    user = names.user(GROUP, tour.kept[f"username {KEYS}"])
    rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName=user, PolicyName=ADDED, PolicyDocument=json.dumps(rights))
    tour.let_iam_settle()
    rows = check(tour, names.group_stack(GROUP))
    assert any("AWS::IAM::Group" in row for row in rows), rows
    assert any("AWS::IAM::User" in row or ADDED in row for row in rows), rows
    return "; ".join(rows)


@STEPS.step("The repair gives back what was taken, and takes what was given", DETECTS)
def repaired(tour: Tour) -> None:
    tour.front.must("stack", "repair", names.group_stack(GROUP), "--wait")
    tour.let_iam_settle()
    iam = tour.target.client("iam")
    attached = iam.list_attached_group_policies(GroupName=names.iam_group(GROUP))["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [tour.kept["access"]]
    assert iam.list_user_policies(UserName=names.user(GROUP, tour.kept[f"username {KEYS}"]))["PolicyNames"] == []
    tour.allowed(listing(tour, tour.s3(KEYS)))
    assert check(tour, names.group_stack(GROUP)) == []


@STEPS.step("A bucket that was made to keep no versions is found, and keeps them again", DETECTS)
def bucket(tour: Tour) -> str:
    s3 = tour.target.client("s3")
    s3.put_bucket_versioning(Bucket=tour.bucket, VersioningConfiguration={"Status": "Suspended"})
    rows = check(tour, names.PLATFORM_STACK)
    assert any("AWS::S3::Bucket" in row for row in rows), rows
    tour.front.must("stack", "repair", names.PLATFORM_STACK, "--wait")
    assert s3.get_bucket_versioning(Bucket=tour.bucket)["Status"] == "Enabled"
    assert check(tour, names.PLATFORM_STACK) == []
    return "; ".join(rows)


@STEPS.step(
    "The access review answers for both groups, and finds nothing that the records do not have", "changes of IAM users and groups"
)
def review(tour: Tour) -> str:
    looked = tour.front.must("review", "look")
    assert looked["failed"] == {}, looked
    differing = {slug: looked["looked"][slug] for slug in (GROUP, OTHER)}
    assert not any(row["differing"] or row["findings"] for row in differing.values()), differing
    return f"{sum(one['lines'] for one in differing.values())} lines"

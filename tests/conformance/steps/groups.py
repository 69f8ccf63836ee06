"""Two groups, two analyses, members of both kinds, by the commands; and the first credentials of each."""

from functools import partial

from stacks import names
from tests.conformance import presence
from tests.conformance.step import Steps
from tests.conformance.targets import Target
from tests.conformance.tour import (
    ANALYSIS,
    ELSEWHERE,
    FEDERATED,
    GROUP,
    KEYS,
    KINDS,
    LEAVES_FEDERATED,
    LEAVES_KEYS,
    MANAGER,
    OTHER,
    THEIR_FEDERATED,
    THEIR_KEYS,
    Tour,
)

STEPS = Steps("Groups, analyses and members")
MEMBERS = {
    GROUP: {MANAGER: "federated", FEDERATED: "federated", KEYS: "keys", LEAVES_FEDERATED: "federated", LEAVES_KEYS: "keys"},
    OTHER: {THEIR_FEDERATED: "federated", THEIR_KEYS: "keys"},
}


@STEPS.step("Two analyses, each with a bucket", vital=True)
def analyses(tour: Tour) -> None:
    for slug, bucket in ((ANALYSIS, tour.bucket), (ELSEWHERE, tour.elsewhere)):
        tour.journal.add("bucket", bucket)
        tour.front.must("analysis", "create", slug, "--bucket", bucket, "--wait")
    s3 = tour.target.client("s3")
    assert s3.get_bucket_versioning(Bucket=tour.bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=tour.bucket)["PublicAccessBlockConfiguration"].values())


@STEPS.step(
    "Two groups, the second one's name beginning with the first's; both get one analysis, the second also the other", vital=True
)
def groups(tour: Tour) -> None:
    for slug in (GROUP, OTHER):
        tour.journal.add("group", slug)
        tour.front.must("group", "create", slug)
        tour.front.must("analysis", "grant", ANALYSIS, slug)
    tour.front.must("analysis", "grant", ELSEWHERE, OTHER)
    tour.front.settle(tour.target.patience + 600)


@STEPS.step("Members of both kinds", vital=True)
def members(tour: Tour) -> None:
    for slug, people in MEMBERS.items():
        for email, access in people.items():
            role = ["--manager"] if email == MANAGER else []
            added = tour.front.must("member", "add", slug, email, "--access", access, "--create", *role)
            tour.kept[f"username {email}"] = added["member"]["username"]
    tour.front.settle(tour.target.patience + 600)
    for slug, people in MEMBERS.items():
        assert presence.stack_state(tour.target, names.group_stack(slug)) in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
        holders = sum(access == "keys" for access in people.values())
        tour.seen(f"{holders} users of {slug}", partial(_has_users, tour.target, slug, holders))


def _has_users(target: Target, slug: str, number: int) -> bool:
    return len(presence.users_of(target, slug)) == number


@STEPS.step("No template, output or event of a group's stack holds a key", vital=False)
def no_secret(tour: Tour) -> None:
    client, stack = tour.target.client("cloudformation"), names.group_stack(GROUP)
    shown = [str(client.get_template(StackName=stack)), str(client.describe_stacks(StackName=stack))]
    shown.append(str(client.describe_stack_events(StackName=stack)))
    key = tour.credentials(KEYS)
    assert not any(key["SecretAccessKey"] in item for item in shown)


for _kind, _email in KINDS.items():

    def first_use(tour: Tour, email: str = _email) -> None:
        s3 = tour.s3(email)
        key = f"{GROUP}/inputs/first-{email}"
        tour.allowed(lambda: s3.put_object(Bucket=tour.bucket, Key=key, Body=b"first"))
        assert tour.allowed(lambda: s3.get_object(Bucket=tour.bucket, Key=key))["Body"].read() == b"first"

    STEPS.add(
        f"first use, {_kind}", f"The first credentials of a {_kind} work, once AWS has made them ready", first_use, vital=True
    )


@STEPS.step("On the page, a member who just got in is told the access is ready, or being made ready, and never that it failed")
def told_ready(tour: Tour) -> None:
    page = tour.visitor(FEDERATED).ask("GET", f"/groups/{GROUP}/")
    assert page.status == 200
    assert "failed" not in page.text.lower()


@STEPS.step("IAM's delay is over before the rights are tried")
def settled(tour: Tour) -> None:
    tour.settle()
    for slug, people in MEMBERS.items():
        for email in people:
            listing = partial(tour.s3(email, slug).list_objects_v2, Bucket=tour.bucket, Prefix=f"{slug}/")
            tour.allowed(listing)

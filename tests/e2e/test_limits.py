"""Limits of the AWS account: seen, kept, and got around by a group whose key holders need more than one stack."""

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Page, expect

from tests.e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

GROUP, ANALYSIS, BUCKET = "limits-lab", "limits", "cohort-limits"
PEOPLE = [f"limits{number}@example.org" for number in range(2)]
STACK = "AWS::CloudFormation::Stack"


def add(site: Site, email: str) -> str:
    """Give somebody a key, as if one stack held a single key holder. Returns the username."""
    arguments = ("member", "add", GROUP, email, "--access", "keys", "--create", "--wait", "--json")
    done = site.manage(*arguments, COHORT_HOLDERS_PER_STACK="1")
    assert done.status == 0, done.err + done.out
    return str(done.document["member"]["username"])


def nested(site: Site) -> list[str]:
    """The ids of the stacks nested in the group's."""
    resources = site.root("cloudformation").list_stack_resources(StackName=f"Group-{GROUP}")["StackResourceSummaries"]
    return [resource["PhysicalResourceId"] for resource in resources if resource["ResourceType"] == STACK]


def users(site: Site) -> set[str]:
    return {user["UserName"] for user in site.root("iam").list_users(PathPrefix=f"/cohort/{GROUP}/")["Users"]}


def can_write(site: Site, credentials: dict[str, str]) -> bool:
    try:
        site.client("s3", credentials).put_object(Bucket=BUCKET, Key=f"{GROUP}/inputs/x", Body=b"x")
    except ClientError:
        return False
    return True


@pytest.fixture(scope="module")
def usernames(site: Site) -> list[str]:
    """A group of two key holders, the second of whom is in a nested stack."""
    site.must("analysis", "create", ANALYSIS, "--bucket", BUCKET)
    site.must("group", "create", GROUP)
    site.must("analysis", "grant", ANALYSIS, GROUP)
    return [add(site, email) for email in PEOPLE]


def test_key_holders_beyond_one_stack_work_and_go_like_all_others(site: Site, usernames: list[str]) -> None:
    (stack_id,) = nested(site)
    inside = site.root("cloudformation").list_stack_resources(StackName=stack_id)["StackResourceSummaries"]
    assert [resource["PhysicalResourceId"] for resource in inside if resource["ResourceType"] == "AWS::IAM::User"] == [
        f"cohort-{GROUP}-{usernames[1]}"
    ]
    deployment = site.must("deployment", "list")[0]
    kinds = [resource["type"] for resource in site.must("deployment", "show", str(deployment["id"]))["resources"]]
    assert "AWS::IAM::User" in kinds, "the plan tells what a nested stack holds"
    keys = [site.credentials(GROUP, email) for email in PEOPLE]
    assert [can_write(site, key) for key in keys] == [True, True]
    # By hand the same comes out: nothing is left to change.
    by_hand = site.cdk("diff", "-c", f"group={GROUP}", "--fail", f"Group-{GROUP}")
    assert by_hand.status == 0, by_hand.out + by_hand.err

    # The one in the group's own stack goes, and the other stays where they are, with the key that they have.
    site.must("member", "remove", GROUP, PEOPLE[0], "--wait")
    assert [can_write(site, key) for key in keys] == [False, True]
    assert users(site) == {f"cohort-{GROUP}-{usernames[1]}"}
    site.must("member", "remove", GROUP, PEOPLE[1], "--wait")
    assert not can_write(site, keys[1])
    assert users(site) == set()
    assert nested(site) == []
    secrets = site.root("secretsmanager").list_secrets()["SecretList"]
    assert [secret["Name"] for secret in secrets if GROUP in secret["Name"]] == []


def test_what_would_pass_a_limit_is_refused_and_nothing_changes(site: Site, usernames: list[str]) -> None:
    told = {quota["name"]: quota for quota in site.must("quota", "read")}
    on_aws = len(site.root("iam").list_users()["Users"])
    assert told["iam-users"]["used"] == on_aws
    assert told["iam-users"]["limit"] == 5000
    stacks = site.root("cloudformation").list_stacks()["StackSummaries"]
    assert told["cloudformation-stacks"]["used"] == sum(stack["StackStatus"] != "DELETE_COMPLETE" for stack in stacks)
    before = site.must("group", "show", GROUP)
    arguments = ("member", "add", GROUP, "one-too-many@example.org", "--access", "keys", "--create", "--json")
    done = site.manage(*arguments, QUOTA_IAM_USERS=str(told["iam-users"]["wanted"]))
    assert done.status == 2
    assert "Nothing was changed" in done.document["error"]
    assert "Service Quotas" in done.document["error"]
    assert site.must("group", "show", GROUP) == before
    assert len(site.root("iam").list_users()["Users"]) == on_aws


def test_an_administrator_sees_them(site: Site, usernames: list[str], administrator: Page) -> None:
    administrator.goto("/quotas/")
    row = administrator.get_by_role("row").filter(has_text="IAM users")
    expect(row).to_contain_text("✓ OK")
    expect(row).to_contain_text("5,000")
    expect(row.get_by_role("progressbar")).to_be_visible()
    expect(administrator.get_by_role("row").filter(has_text=GROUP)).to_contain_text("of 600")

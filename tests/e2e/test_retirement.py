"""Groups that end: what their credentials can do at each step, and what is left on AWS, in S3 and on record."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Page, expect

from tests.e2e.conftest import serious_findings
from tests.e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(300)]

ARCHIVED, DELETED, OTHER = "ending-kept-lab", "ending-gone-lab", "ending-other-lab"
BUCKET = "cohort-e2e-ending"
PEOPLE = {ARCHIVED: "ending-a@example.org", DELETED: "ending-b@example.org", OTHER: "ending-c@example.org"}
SOON = 60


@pytest.fixture(scope="module")
def labs(site: Site) -> Site:
    site.must("analysis", "create", "ending", "--bucket", BUCKET)
    for slug, email in PEOPLE.items():
        site.must("group", "create", slug)
        site.must("analysis", "grant", "ending", slug)
        site.must("member", "add", slug, email, "--access", "federated" if slug == DELETED else "keys", "--create")
    site.wait_for_deployments()
    return site


def s3_of(site: Site, slug: str) -> Any:
    return site.client("s3", site.credentials(slug, PEOPLE[slug]))


def works(client: Any, slug: str) -> bool:
    try:
        client.list_objects_v2(Bucket=BUCKET, Prefix=f"{slug}/")
    except ClientError:
        return False
    return True


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def left_on_aws(site: Site, slug: str) -> list[str]:
    """What there is under the group's path in IAM, and of its secrets and stack."""
    iam, path = site.root("iam"), f"/cohort/{slug}/"
    found = [user["UserName"] for user in iam.list_users(PathPrefix=path)["Users"]]
    found += [role["RoleName"] for role in iam.list_roles(PathPrefix=path)["Roles"]]
    found += [group["GroupName"] for group in iam.list_groups(PathPrefix=path)["Groups"]]
    found += [policy["PolicyName"] for policy in iam.list_policies(Scope="Local", PathPrefix=path)["Policies"]]
    secrets = site.root("secretsmanager").list_secrets()["SecretList"]
    found += [secret["Name"] for secret in secrets if secret["Name"].startswith(f"cohort/{slug}/")]
    stacks = site.root("cloudformation").describe_stacks()["Stacks"]
    return found + [stack["StackName"] for stack in stacks if stack["StackName"] == f"Group-{slug}"]


def test_it_is_asked_for_on_the_web_undone_there_and_then_carried_out(administrator: Page, labs: Site) -> None:
    site, page = labs, administrator
    s3, other = s3_of(site, ARCHIVED), s3_of(site, OTHER)
    s3.put_object(Bucket=BUCKET, Key=f"{ARCHIVED}/inputs/kept.csv", Body=b"1,2\n")
    other.put_object(Bucket=BUCKET, Key=f"{OTHER}/inputs/theirs.csv", Body=b"1,2\n")

    page.goto(f"/admin/groups/group/?q={ARCHIVED}")
    page.goto(page.locator("a[href*='/retire-row']").first.get_attribute("href") or "")
    expect(page.locator("#retirement")).to_contain_text("1 × IAM User", timeout=SOON * 1000)
    expect(page.locator("#retirement")).to_contain_text(f"{BUCKET}: 1 object")
    expect(page.locator("#retirement")).to_contain_text("1 access key")
    page.get_by_role("radio", name="Archive").check()
    page.get_by_label("The group’s slug").fill(OTHER)
    page.get_by_role("button", name="Retire the group").click()
    expect(page.get_by_role("alert").first).to_contain_text("is not the group's slug")
    assert works(s3, ARCHIVED)
    page.get_by_label("The group’s slug").fill(ARCHIVED)
    page.get_by_role("radio", name="Archive").check()
    page.get_by_role("button", name="Retire the group").click()
    expect(page.locator("#retirement")).to_have_attribute("data-state", "waiting")
    until(lambda: not works(s3, ARCHIVED))
    assert site.manage("member", "add", ARCHIVED, PEOPLE[OTHER]).status == 2
    assert serious_findings(page) == []

    page.get_by_role("button", name="Undo: keep the group").click()
    expect(page.get_by_role("button", name="Retire the group")).to_be_visible()
    until(lambda: works(s3, ARCHIVED))
    site.wait_for_deployments()

    asked = site.must("retire", "ask", ARCHIVED, "--confirm", ARCHIVED, "--data", "archive")
    assert asked["retirement"]["state"] == "waiting"
    site.wait_for_deployments()
    assert not works(s3, ARCHIVED)
    assert left_on_aws(site, ARCHIVED)
    pass_time = (
        "from control_plane.access.retirement.models import Retirement; from django.utils import timezone; "
        f"Retirement.objects.filter(group__slug={ARCHIVED!r}, state='waiting').update(due_at=timezone.now())"
    )
    assert site.manage("shell", "-c", pass_time).status == 0
    assert site.manage("sweep").status == 0
    page.goto(page.url)
    expect(page.locator("#retirement")).to_have_attribute("data-state", "done", timeout=SOON * 1000)
    expect(page.locator("#retirement")).to_contain_text(PEOPLE[ARCHIVED])
    assert left_on_aws(site, ARCHIVED) == []
    assert not works(s3, ARCHIVED)
    tags = site.root("s3").get_object_tagging(Bucket=BUCKET, Key=f"{ARCHIVED}/inputs/kept.csv")["TagSet"]
    assert tags == [{"Key": "cohort-archive", "Value": "true"}]
    assert site.root("s3").get_object_tagging(Bucket=BUCKET, Key=f"{OTHER}/inputs/theirs.csv")["TagSet"] == []
    rules = site.root("s3").get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    (rule,) = [item for item in rules if item["Filter"].get("Tag") == tags[0]]
    assert rule["Transitions"] == [{"Days": 0, "StorageClass": "DEEP_ARCHIVE"}]
    assert works(other, OTHER)


def test_at_once_from_the_terminal_with_the_data_deleted(labs: Site) -> None:
    site = labs
    s3, root = s3_of(site, DELETED), site.root("s3")
    key = f"{DELETED}/inputs/twice.csv"
    for body in (b"1\n", b"2\n"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    s3.delete_object(Bucket=BUCKET, Key=key)
    s3.create_multipart_upload(Bucket=BUCKET, Key=f"{DELETED}/inputs/half.bin")
    seen = site.must("retire", "preview", DELETED)
    assert seen["resources"]["AWS::IAM::Role"] == 1
    assert seen["ends"]["members"] == 1
    done = site.must("retire", "ask", DELETED, "--confirm", DELETED, "--data", "delete", "--now", "--wait", "--timeout", "90")
    assert done["retirement"]["state"] == "done"
    assert done["retirement"]["deployment"]["cloudformation_status"] == "DELETE_COMPLETE"
    assert done["retirement"]["places"][0]["objects"] == 3
    assert left_on_aws(site, DELETED) == []
    assert not works(s3, DELETED)
    versions = root.list_object_versions(Bucket=BUCKET, Prefix=f"{DELETED}/")
    assert not versions.get("Versions")
    assert not versions.get("DeleteMarkers")
    assert not root.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{DELETED}/").get("Uploads")
    assert root.list_objects_v2(Bucket=BUCKET, Prefix=f"{OTHER}/")["KeyCount"] == 1
    assert len(left_on_aws(site, OTHER)) > 4


def test_the_record_stays_and_the_slug_is_not_given_again(labs: Site) -> None:
    site = labs
    refused = site.manage("group", "create", DELETED)
    assert refused.status == 2
    assert "was retired on" in refused.err
    retired = {group["slug"] for group in site.must("group", "list", "--standing", "retired")}
    assert {ARCHIVED, DELETED} <= retired
    assert OTHER not in retired
    known = (
        "from control_plane.access.groups.models import Membership; from control_plane.base.audit.models import AuditEvent; "
        f"print([Membership.objects.filter(group__slug={DELETED!r}, user__email={PEOPLE[DELETED]!r}).count(), "
        f"AuditEvent.objects.filter(action='group.retired', target='group {DELETED}').count()])"
    )
    assert "[1, 1]" in site.manage("shell", "-c", known).out
    by_hand = site.cdk("diff", f"Group-{DELETED}", "-c", f"group={DELETED}")
    assert by_hand.status != 0
    assert "is retired" in by_hand.err + by_hand.out


def test_an_analysis_is_retired_on_the_page_and_its_bucket_is_emptied_and_deleted(administrator: Page, labs: Site) -> None:
    site, page, root, bucket = labs, administrator, labs.root("s3"), "cohort-e2e-over"
    site.must("analysis", "create", "ending-over", "--bucket", bucket, "--wait")
    site.must("analysis", "grant", "ending-over", OTHER, "--wait")
    s3 = s3_of(site, OTHER)
    key = f"{OTHER}/inputs/twice.csv"
    for body in (b"1\n", b"2\n"):
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    s3.delete_object(Bucket=bucket, Key=key)
    s3.create_multipart_upload(Bucket=bucket, Key=f"{OTHER}/inputs/half.bin")

    page.goto("/admin/groups/analysis/?q=ending-over")
    page.goto(page.locator("a[href*='/retire-row']").first.get_attribute("href") or "")
    page.get_by_role("radio", name="Delete").check()
    page.get_by_label("The bucket’s name").fill(bucket)
    page.get_by_role("button", name="Retire the analysis").click()
    expect(page.get_by_role("alert").first).to_contain_text("is granted to")
    assert s3.list_objects_v2(Bucket=bucket, Prefix=f"{OTHER}/")["KeyCount"] == 0
    site.must("analysis", "revoke", "ending-over", OTHER, "--wait")

    page.get_by_label("The bucket’s name").fill(bucket)
    page.get_by_role("radio", name="Delete").check()
    page.get_by_role("button", name="Retire the analysis").click()
    expect(page.locator("#retirement")).to_have_attribute("data-state", "waiting")
    assert serious_findings(page) == []
    assert site.manage("analysis", "grant", "ending-over", OTHER).status == 2
    pass_time = (
        "from control_plane.access.retirement.models import AnalysisRetirement; from django.utils import timezone; "
        "AnalysisRetirement.objects.filter(state='waiting').update(due_at=timezone.now())"
    )
    assert site.manage("shell", "-c", pass_time).status == 0
    assert site.manage("sweep").status == 0
    expect(page.locator("#retirement")).to_have_attribute("data-state", "done", timeout=SOON * 1000)
    expect(page.locator("#retirement")).to_contain_text("3 versions deleted")
    assert bucket not in {item["Name"] for item in root.list_buckets()["Buckets"]}
    assert BUCKET in {item["Name"] for item in root.list_buckets()["Buckets"]}
    assert site.manage("analysis", "create", "another", "--bucket", bucket).status == 2
    same = site.cdk("diff", "Cohort-Storage", "--fail", "-c", "platform=1")
    assert same.status == 0, same.out + same.err

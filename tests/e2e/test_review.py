"""The access review against AWS itself: it says what tried credentials can do, marks what is changed outside, is signed."""

import csv
import json
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Page

from tests.e2e.conftest import serious_findings, sign_in
from tests.e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LAB, NAME = "vista-lab", "Vista Lab"
WRITABLE, READABLE = "cohort-e2e-vista-open", "cohort-e2e-vista-shut"
ADA, GRACE, HEDY = (f"{name}@vista.example.org" for name in ("ada", "grace", "hedy"))
PASSWORD = "a long enough password for vista"


@dataclass
class Lab:
    """Ada holds a key, Grace is federated and manages, Hedy holds a key too."""

    site: Site
    usernames: dict[str, str]

    def user(self, email: str) -> str:
        return f"cohort-{LAB}-{self.usernames[email]}"

    def review(self) -> Any:
        """Looked at now, and listed."""
        self.site.must("review", "look", LAB)
        return self.site.must("review", "list", "--group", LAB)

    def told(self) -> dict[tuple[str, str], set[str]]:
        """What the review says that each person may do in each bucket."""
        lines = self.review()["lines"]
        return {(line["email"], line["bucket"]): set(line["rights"].split(", ")) - {"nothing"} for line in lines}

    def tried(self, email: str) -> dict[tuple[str, str], set[str]]:
        """What a person's credentials can do in each bucket, by trying."""
        s3 = self.site.client("s3", self.site.credentials(LAB, email))
        return {(email, bucket): _rights(s3, bucket) for bucket in (WRITABLE, READABLE)}


def _rights(s3: Any, bucket: str) -> set[str]:
    tries = {
        "list": lambda: s3.list_objects_v2(Bucket=bucket, Prefix=f"{LAB}/inputs/"),
        "read": lambda: s3.get_object(Bucket=bucket, Key=f"{LAB}/inputs/given"),
        "write": lambda: s3.put_object(Bucket=bucket, Key=f"{LAB}/inputs/new", Body=b"x"),
        "delete": lambda: s3.delete_object(Bucket=bucket, Key=f"{LAB}/inputs/new"),
    }
    assert not _can(lambda: s3.put_object(Bucket=bucket, Key=f"{LAB}/results/new", Body=b"x"))
    assert not _can(lambda: s3.list_objects_v2(Bucket=bucket, Prefix="other-lab/"))
    return {right for right, attempt in tries.items() if _can(attempt)}


def _can(attempt: Any) -> bool:
    try:
        attempt()
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True


@pytest.fixture(scope="module")
def lab(site: Site) -> Lab:
    site.must("analysis", "create", "vista-open", "--bucket", WRITABLE)
    site.must("analysis", "create", "vista-shut", "--bucket", READABLE)
    site.must("group", "create", LAB, "--name", NAME)
    site.must("analysis", "grant", "vista-open", LAB)
    site.must("analysis", "grant", "vista-shut", LAB, "--read-only")
    accesses = {ADA: ["--access", "keys"], GRACE: [], HEDY: ["--access", "keys"]}
    usernames = {
        email: site.must("member", "add", LAB, email, "--create", *access)["member"]["username"]
        for email, access in accesses.items()
    }
    site.must("member", "manager", LAB, GRACE)
    site.set_password(GRACE, PASSWORD)
    site.wait_for_deployments()
    for bucket in (WRITABLE, READABLE):
        site.root("s3").put_object(Bucket=bucket, Key=f"{LAB}/inputs/given", Body=b"given")
    return Lab(site, usernames)


def test_the_review_says_what_tried_credentials_can_do(lab: Lab) -> None:
    tried = lab.tried(ADA) | lab.tried(GRACE) | lab.tried(HEDY)
    assert lab.told() == tried
    assert tried[ADA, WRITABLE] == {"list", "read", "write", "delete"}
    assert tried[GRACE, READABLE] == {"list", "read"}
    found = lab.review()
    assert found["findings"] == []
    assert {tuple(line["marks"]) for line in found["lines"]} == {()}
    assert all(line["since"] and line["granted_by"] and line["last_used_at"] for line in found["lines"])


@pytest.mark.browser
def test_what_is_changed_from_outside_is_marked_signed_and_taken_away(lab: Lab, page: Page) -> None:
    site, iam = lab.site, lab.site.root("iam")
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    outside = iam.create_policy(PolicyName="vista-outside", PolicyDocument=json.dumps(wide))["Policy"]["Arn"]
    iam.attach_user_policy(UserName=lab.user(ADA), PolicyArn=outside)
    iam.create_user(UserName="vista-mallory")
    iam.add_user_to_group(GroupName=f"cohort-{LAB}", UserName="vista-mallory")
    second = iam.create_access_key(UserName=lab.user(HEDY))["AccessKey"]
    # The second key gets in; the foreign policy does not get past the boundary, and does within it.
    hedys = {"AccessKeyId": second["AccessKeyId"], "SecretAccessKey": second["SecretAccessKey"]}
    assert _can(lambda: site.client("s3", hedys).get_object(Bucket=WRITABLE, Key=f"{LAB}/inputs/given"))
    adas = site.client("s3", site.credentials(LAB, ADA))
    assert _can(lambda: adas.put_object(Bucket=READABLE, Key="other-lab/inputs/x", Body=b"x"))

    sign_in(page, GRACE, PASSWORD)
    page.goto(f"/groups/{LAB}/")
    page.get_by_role("link", name="Review…").click()
    before = _looked_at(lab)
    _let_a_minute_pass(lab)
    page.get_by_role("button", name="Check now").click()
    page.get_by_text("AWS is being asked").wait_for()
    for _ in range(100):
        if (now := _looked_at(lab)) != before and "None" not in now:
            break
        page.wait_for_timeout(200)
    page.reload()
    shown = page.get_by_role("region", name="Not as Cohort makes it").inner_text()
    for mark in ("a policy attached from outside", "a foreign user in the group", "a key that Cohort did not make"):
        assert mark in shown
    assert second["AccessKeyId"] in shown
    assert "vista-mallory" in shown
    row = page.get_by_role("row", name=ADA).filter(has_text="cohort-*")
    assert "wider than granted" in row.first.inner_text()
    assert "on AWS but not in the database" in page.get_by_role("row", name="vista-mallory").first.inner_text()
    assert serious_findings(page) == []

    with page.expect_download() as begun:
        page.get_by_role("link", name="Download CSV").click()
    rows = list(csv.DictReader(begun.value.path().read_text().splitlines()))
    told = site.must("review", "list", "--group", LAB)
    lines = [item for item in rows if item["bucket"]]
    assert {(line["person"], line["principal"], line["bucket"], line["write"]) for line in lines} == {
        (line["email"] or "", line["principal"], line["bucket"], "yes" if "write" in line["rights"] else "no")
        for line in told["lines"]
    }
    assert len(rows) == len(told["lines"]) + len(told["findings"])

    page.get_by_role("link", name="Sign off…").click()
    assert "vista-mallory" in page.get_by_role("main").inner_text()
    assert serious_findings(page) == []
    page.get_by_label("Note").fill("Mallory goes today.")
    page.get_by_role("button", name="I have looked through it").click()
    page.get_by_text("You have signed").wait_for()
    assert "Mallory goes today." in page.get_by_role("region", name="Signed before").inner_text()
    [due] = [review for review in site.must("review", "due") if review["group"] == LAB]
    assert (due["is_due"], due["signed_by"]) == (False, GRACE)

    iam.detach_user_policy(UserName=lab.user(ADA), PolicyArn=outside)
    iam.remove_user_from_group(GroupName=f"cohort-{LAB}", UserName="vista-mallory")
    iam.delete_access_key(UserName=lab.user(HEDY), AccessKeyId=second["AccessKeyId"])
    iam.delete_user(UserName="vista-mallory")
    iam.delete_policy(PolicyArn=outside)
    found = lab.review()
    assert found["findings"] == []
    assert not any(line["differs"] for line in found["lines"])


@pytest.mark.browser
def test_who_is_removed_everywhere_can_reach_nothing(lab: Lab, administrator: Page) -> None:
    site, page = lab.site, administrator
    key = site.credentials(LAB, ADA)
    page.goto("/review/?search=" + ADA)
    page.get_by_role("link", name="Remove everywhere").first.click()
    assert NAME in page.get_by_role("main").inner_text()
    assert serious_findings(page) == []
    page.get_by_role("button", name="Remove everywhere").click()
    page.get_by_text("cannot sign in any more").wait_for()
    site.wait_for_deployments()
    with pytest.raises(ClientError):
        site.client("s3", key).get_object(Bucket=WRITABLE, Key=f"{LAB}/inputs/given")
    assert lab.told() == lab.tried(GRACE) | lab.tried(HEDY)
    assert site.manage("member", "credentials", LAB, ADA).status == 2
    page.goto("/review/?search=" + ADA)
    assert "Nothing is found" in page.get_by_role("main").inner_text()
    page.goto("/review/sign-offs/")
    assert "not due" in page.get_by_role("row", name=NAME).inner_text()
    assert serious_findings(page) == []
    page.goto(f"/groups/{LAB}/review/")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def _let_a_minute_pass(lab: Lab) -> None:
    """A group is not looked at again within seconds."""
    lines = (
        "from datetime import timedelta",
        "from django.db.models import F",
        "from control_plane.access.review.models import Scan",
        "Scan.objects.update(asked_at=F('asked_at') - timedelta(minutes=1))",
    )
    done = lab.site.manage("shell", "-v", "0", "-c", "\n".join(lines))
    assert done.status == 0, done.err


def _looked_at(lab: Lab) -> str:
    lines = (
        "from control_plane.access.review.models import Scan",
        f"print([str(scan.finished_at) for scan in Scan.objects.filter(group__slug={LAB!r})])",
    )
    done = lab.site.manage("shell", "-v", "0", "-c", "\n".join(lines))
    assert done.status == 0, done.err
    return done.out


def test_a_group_without_key_holders_is_looked_at_and_signed(lab: Lab) -> None:
    """The default kind: there is no IAM group, and the worker is denied to look for it by a name without a path."""
    site, slug = lab.site, "vista-federated"
    site.must("group", "create", slug, "--name", "Vista Federated")
    site.must("analysis", "grant", "vista-open", slug)
    site.must("member", "add", slug, "lise@vista.example.org", "--create", "--manager")
    site.wait_for_deployments()
    looked = site.must("review", "look", slug)
    assert looked["failed"] == {}
    assert looked["looked"][slug]["findings"] == looked["looked"][slug]["differing"] == 0
    site.must("review", "sign", slug)

"""The life of an access key: two side by side, the old one inactive, then gone; a whole group's at once; and who uses theirs."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Page

from tests.e2e.conftest import serious_findings, sign_in
from tests.e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LAB, BUCKET = "turnkey-lab", "cohort-e2e-turnkey"
ADA, GRACE, HEDY = (f"{name}@turnkey.example.org" for name in ("ada", "grace", "hedy"))


@dataclass
class Lab:
    """A group of three who hold a key each."""

    site: Site
    usernames: dict[str, str]

    def works(self, key: dict[str, str]) -> bool:
        """Whether S3 lets this key write and read in the group's folder."""
        s3 = self.site.client("s3", key)
        try:
            s3.put_object(Bucket=BUCKET, Key=f"{LAB}/inputs/x", Body=b"x")
            return bool(s3.get_object(Bucket=BUCKET, Key=f"{LAB}/inputs/x")["Body"].read() == b"x")
        except ClientError as error:
            if error.response["Error"]["Code"] in ("InvalidAccessKeyId", "InvalidClientTokenId", "AccessDenied"):
                return False
            raise

    def key(self, email: str) -> dict[str, str]:
        """The key that Secrets Manager holds for this member."""
        secret = self.site.root("secretsmanager").get_secret_value(SecretId=f"cohort/{LAB}/{self.usernames[email]}")
        held: dict[str, str] = json.loads(secret["SecretString"])
        return held

    def on_aws(self, email: str) -> dict[str, str]:
        """Each key that IAM holds for this member, with its status."""
        name = f"cohort-{LAB}-{self.usernames[email]}"
        keys = self.site.root("iam").list_access_keys(UserName=name)["AccessKeyMetadata"]
        return {key["AccessKeyId"]: key["Status"] for key in keys}

    def shell(self, *lines: str) -> str:
        done = self.site.manage("shell", "-v", "0", "-c", "\n".join(lines))
        assert done.status == 0, done.err
        return done.out

    def time_passes(self) -> None:
        """The time of all old keys of the group is over, and a worker sweeps."""
        self.shell(
            "from django.utils import timezone",
            "from control_plane.access.groups.models import Membership",
            f"old = Membership.objects.filter(group__slug={LAB!r}).exclude(previous_key='')",
            "old.update(previous_key_until=timezone.now())",
        )
        assert self.site.manage("sweep").status == 0
        self.site.wait_for_deployments()

    def deployments(self) -> int:
        return sum(deployment["stack"] == f"Group-{LAB}" for deployment in self.site.must("deployment", "list"))


@pytest.fixture(scope="module")
def lab(site: Site) -> Lab:
    site.must("analysis", "create", "turnkey", "--bucket", BUCKET)
    site.must("group", "create", LAB, "--name", "Turnkey Lab")
    site.must("analysis", "grant", "turnkey", LAB)
    usernames = {
        email: site.must("member", "add", LAB, email, "--access", "keys", "--create")["member"]["username"]
        for email in (ADA, GRACE, HEDY)
    }
    site.wait_for_deployments()
    return Lab(site, usernames)


def test_an_old_key_goes_on_then_stops_then_is_gone(lab: Lab) -> None:
    first = lab.key(ADA)
    assert lab.works(first)
    begun = lab.site.must("member", "rotate", LAB, ADA, "--overlap-days", "3", "--wait")
    assert begun["member"]["previous_key"] == "active"
    second = lab.key(ADA)
    assert second["AccessKeyId"] != first["AccessKeyId"]
    assert (lab.works(first), lab.works(second)) == (True, True)
    assert lab.on_aws(ADA) == {first["AccessKeyId"]: "Active", second["AccessKeyId"]: "Active"}
    refused = lab.site.manage("member", "rotate", LAB, ADA)
    assert refused.status == 2
    assert "remove the old key first" in refused.err

    lab.time_passes()
    assert (lab.works(first), lab.works(second)) == (False, True)
    assert lab.on_aws(ADA) == {first["AccessKeyId"]: "Inactive", second["AccessKeyId"]: "Active"}
    lab.site.must("member", "old-key", LAB, ADA, "bring-back", "--wait")
    assert (lab.works(first), lab.works(second)) == (True, True)
    lab.site.must("member", "old-key", LAB, ADA, "stop", "--wait")
    assert (lab.works(first), lab.works(second)) == (False, True)

    lab.time_passes()
    assert (lab.works(first), lab.works(second)) == (False, True)
    assert lab.on_aws(ADA) == {second["AccessKeyId"]: "Active"}
    assert lab.key(ADA) == second


def test_without_an_overlap_the_old_key_is_refused_at_once(lab: Lab) -> None:
    old = lab.key(GRACE)
    assert lab.works(old)
    lab.site.must("member", "rotate", LAB, GRACE, "--overlap-days", "0", "--wait")
    new = lab.key(GRACE)
    assert (lab.works(old), lab.works(new)) == (False, True)
    assert lab.on_aws(GRACE) == {new["AccessKeyId"]: "Active"}


def test_a_group_s_keys_are_replaced_in_one_deployment(lab: Lab) -> None:
    old = {email: lab.key(email) for email in lab.usernames}
    before = lab.deployments()
    begun = lab.site.must("group", "rotate-keys", LAB, "--overlap-days", "1", "--wait")
    assert (begun["replaced"], begun["left_out"]) == (3, {})
    assert lab.deployments() == before + 1
    for email, key in old.items():
        new = lab.key(email)
        assert (lab.works(key), lab.works(new)) == (True, True)
        assert lab.on_aws(email) == {key["AccessKeyId"]: "Active", new["AccessKeyId"]: "Active"}
    before = lab.deployments()
    lab.time_passes()
    assert lab.deployments() == before + 1
    assert [lab.works(key) for key in old.values()] == [False] * 3
    assert all(lab.works(lab.key(email)) for email in lab.usernames)
    assert _rows(lab) == {email: [serial, "inactive"] for email, serial in ((ADA, 3), (GRACE, 3), (HEDY, 2))}


def _rows(lab: Lab) -> Any:
    return json.loads(
        lab.shell(
            "import json",
            "from control_plane.access.groups.models import Membership",
            f"rows = Membership.objects.filter(group__slug={LAB!r})",
            "print(json.dumps({row.user.email: [row.key_serial, row.previous_key] for row in rows}))",
        )
    )


def _fits_and_is_accessible(page: Page) -> None:
    assert serious_findings(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.browser
def test_a_member_looks_after_their_own_key(lab: Lab, page: Page) -> None:
    lab.site.set_password(GRACE, "correct horse battery staple")
    sign_in(page, GRACE, "correct horse battery staple")
    old = lab.key(GRACE)
    page.goto(f"/groups/{LAB}/credentials/")
    page.get_by_text("old key inactive").wait_for()
    _fits_and_is_accessible(page)
    page.get_by_role("button", name="Remove the old key now").click()
    page.get_by_text("Your old key is being removed").wait_for()
    lab.site.wait_for_deployments()
    page.reload()
    page.get_by_text("Replace my key").first.click()
    page.get_by_label("The present key works beside it").select_option("14")
    page.get_by_role("button", name="Replace my key").click()
    page.get_by_text("works for another 14 days").wait_for()
    page.get_by_text("✓ old key works").wait_for()
    new = lab.key(GRACE)
    assert (lab.works(old), lab.works(new)) == (True, True)
    assert new["SecretAccessKey"] not in page.content()


@pytest.mark.browser
def test_last_use_is_found_and_an_unused_key_is_marked(lab: Lab, administrator: Page) -> None:
    site = lab.site
    used = lab.key(ADA)
    assert lab.works(used)
    checked = site.must("keys", "check", "--group", LAB)
    assert checked == {"keys": {LAB: 6}, "failed": {}}
    listed = {key["access_key_id"]: key for key in site.must("keys", "list", "--group", LAB)}
    assert (listed[used["AccessKeyId"]]["last_service"], listed[used["AccessKeyId"]]["state"]) == ("s3", "active")
    assert listed[used["AccessKeyId"]]["last_used_at"]
    hedys = lab.key(HEDY)["AccessKeyId"]
    lab.shell(
        "from datetime import timedelta",
        "from control_plane.access.keys.models import KeyUse",
        f"use = KeyUse.objects.get(access_key_id={hedys!r})",
        "use.last_used_at -= timedelta(days=100)",
        "use.save()",
    )
    assert [key["email"] for key in site.must("keys", "list", "--group", LAB, "--unused-days", "90")] == [HEDY]
    page = administrator
    page.goto(f"/groups/{LAB}/")
    page.get_by_role("link", name="Ages, use and rotation").click()
    row = page.get_by_role("row", name=HEDY)
    assert "! unused" in row.inner_text()
    assert "old key inactive" in row.inner_text()
    assert "for s3" in page.get_by_role("row", name=ADA).inner_text()
    assert hedys in page.get_by_role("region", name="Unused for 90 days").inner_text()
    _fits_and_is_accessible(page)
    row.get_by_role("button", name="Remove old key").click()
    page.get_by_text("old key is being removed").wait_for()
    site.wait_for_deployments()
    assert lab.on_aws(HEDY) == {hedys: "Active"}
    page.goto("/admin/keys/keyuse/?use=unused")
    assert hedys in page.content()
    assert used["AccessKeyId"] not in page.content()
    # Nothing that the site keeps or shows holds a secret.
    assert used["SecretAccessKey"] not in page.content()
    searched = [path for path in site.var.rglob("*") if path.is_file() and (site.var / "aws") not in path.parents]
    assert [path for path in searched if used["SecretAccessKey"].encode() in path.read_bytes()] == []

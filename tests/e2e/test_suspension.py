"""Members and a whole group who are suspended: shut out within seconds, by the stack from then on, and let in again."""

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.site import Site
from tests.e2e.test_main_job import refused
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SLUG, ANALYSIS, BUCKET = "suspending-lab", "suspending", "cohort-e2e-suspending"
FED, KEY, OTHER = "suspended-fed@example.org", "suspended-key@example.org", "not-suspended@example.org"
PASSWORD = "a long enough password"
SECONDS = 30.0


@dataclass
class Lab:
    """The group, with a client for each member from before anybody was suspended."""

    site: Site
    clients: dict[str, Any]
    visitor: Visitor

    def reads(self, email: str, client: Any = None) -> bool:
        """Whether S3 lets the member in."""
        return not refused((client or self.clients[email]).list_objects_v2, Bucket=BUCKET, Prefix=f"{SLUG}/")

    def session(self, email: str) -> Any:
        """A client with fresh credentials."""
        return self.site.client("s3", self.site.credentials(SLUG, email))

    def shut_out_soon(self, *emails: str) -> None:
        """Wait until none of them gets in, while AWS is still at the group's deployment."""
        deadline = time.monotonic() + SECONDS
        while any(self.reads(email) for email in emails):
            assert time.monotonic() < deadline, "not denied within seconds"
            time.sleep(0.1)
        assert self.is_behind()

    def is_behind(self) -> bool:
        group = self.site.must("group", "show", SLUG)
        return bool(group["deployed_generation"] < group["generation"])

    def upload(self) -> int:
        """What the site says to the federated member who wants to upload."""
        body = {"folder": "inputs", "files": [{"path": "a.txt", "size": 5, "modified": 1}]}
        return self.visitor.ask("POST", f"/api/uploads/{SLUG}/{ANALYSIS}/start", body=body).status

    def denials(self) -> set[str]:
        """The principals that carry a denial, as IAM says."""
        iam = self.site.root("iam")
        users = [user["UserName"] for user in iam.list_users(PathPrefix=f"/cohort/{SLUG}/")["Users"]]
        found = {name for name in users if iam.list_user_policies(UserName=name)["PolicyNames"]}
        if "ended-sessions" in iam.list_role_policies(RoleName=f"cohort-{SLUG}")["PolicyNames"]:
            found.add("role")
        if "suspended" in iam.list_group_policies(GroupName=f"cohort-{SLUG}")["PolicyNames"]:
            found.add("group")
        return found

    def template(self) -> str:
        """What CloudFormation holds."""
        body = self.site.root("cloudformation").get_template(StackName=f"Group-{SLUG}")["TemplateBody"]
        return body if isinstance(body, str) else json.dumps(body)


@pytest.fixture(scope="module")
def lab(site: Site) -> Lab:
    site.must("analysis", "create", ANALYSIS, "--bucket", BUCKET)
    site.must("group", "create", SLUG)
    site.must("analysis", "grant", ANALYSIS, SLUG)
    for email, access in ((FED, "federated"), (KEY, "keys"), (OTHER, "federated")):
        site.must("member", "add", SLUG, email, "--access", access, "--create")
    site.wait_for_deployments()
    site.set_password(FED, PASSWORD)
    visitor = Visitor(site.url)
    visitor.sign_in(FED, PASSWORD)
    return Lab(site, {email: site.client("s3", site.credentials(SLUG, email)) for email in (FED, KEY, OTHER)}, visitor)


def test_suspended_members_are_shut_out_at_once_and_for_good_until_they_are_resumed(lab: Lab) -> None:
    site = lab.site
    assert all(lab.reads(email) for email in (FED, KEY, OTHER))
    assert lab.upload() == 200
    assert lab.denials() == set()
    # A session that somebody opened by the key has none of its rights; the key itself keeps them.
    opened = site.client("sts", site.credentials(SLUG, KEY)).get_session_token()["Credentials"]
    assert not lab.reads(KEY, site.client("s3", opened))
    with site.held():
        for email in (FED, KEY):
            site.must("member", "suspend", SLUG, email)
        lab.shut_out_soon(FED, KEY)
        assert lab.reads(OTHER)
        assert lab.upload() == 403
        assert site.manage("member", "credentials", SLUG, FED).status == 2
        assert "suspended" in site.manage("member", "credentials", SLUG, KEY).err
        # Signing in is as before, and says why.
        assert "suspended" in lab.visitor.ask("GET", "/").text
        assert "suspended" in lab.visitor.ask("GET", f"/groups/{SLUG}/").text
    site.wait_for_deployments()
    assert [lab.reads(email) for email in (FED, KEY, OTHER)] == [False, False, True]
    assert "ShutOut" in lab.template()
    assert '"suspended"' in lab.template()
    assert site.must("group", "show", SLUG)["members"][0]["suspended_at"] is None
    for email in (FED, KEY):
        site.must("member", "resume", SLUG, email)
    site.wait_for_deployments()
    assert lab.reads(KEY)
    assert lab.reads(FED, lab.session(FED))
    assert lab.upload() == 200
    assert lab.denials() == set()
    assert "ShutOut" not in lab.template()


def test_a_suspended_group_is_shut_out_whole(lab: Lab) -> None:
    site = lab.site
    with site.held():
        site.must("group", "suspend", SLUG)
        lab.shut_out_soon(FED, KEY, OTHER)
        assert lab.upload() == 403
        assert site.manage("member", "credentials", SLUG, OTHER).status == 2
    site.wait_for_deployments()
    assert not any(lab.reads(email) for email in (FED, KEY, OTHER))
    assert lab.denials() == {"role", "group"}
    assert "SuspendedGroup" in lab.template()
    site.must("group", "resume", SLUG)
    site.wait_for_deployments()
    assert lab.reads(KEY)
    assert lab.reads(OTHER, lab.session(OTHER))
    assert lab.denials() == set()


def test_who_is_suspended_by_mistake_and_who_is_removed(lab: Lab) -> None:
    """Lifted before it was ever deployed, nothing of it stays; and a removed key stops within seconds too."""
    site = lab.site
    with site.held():
        site.must("member", "suspend", SLUG, FED)
        site.must("member", "suspend", SLUG, KEY)
        lab.shut_out_soon(FED, KEY)
    for email in (FED, KEY):
        site.must("member", "resume", SLUG, email)
    site.wait_for_deployments()
    assert lab.reads(KEY)
    assert lab.denials() == set()
    with site.held():
        site.must("member", "remove", SLUG, KEY)
        lab.shut_out_soon(KEY)
    site.wait_for_deployments()
    assert not lab.site.root("iam").list_users(PathPrefix=f"/cohort/{SLUG}/")["Users"]
    secrets = [secret["Name"] for secret in site.root("secretsmanager").list_secrets()["SecretList"]]
    assert not [name for name in secrets if name.startswith(f"cohort/{SLUG}/")]
    lines = site.manage("audit", "export", "--format", "jsonl").out.splitlines()
    events = {value["action"] for value in map(json.loads, lines) if SLUG in value["target"]}
    assert {"member.suspend", "member.resume", "group.suspend", "group.resume", "member.remove"} <= events

"""A person who moves from one group to another, and one whose time is over: what their credentials can do at each step."""

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.site import Site
from tests.e2e.test_main_job import refused

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

OLD, NEW, BUCKET = "moving-from-lab", "moving-to-lab", "cohort-e2e-moving"
MOVER, GUEST = "mover@example.org", "guest@example.org"


@dataclass
class Watch:
    """Asks again and again whether the person can list their folder in either group, with the keys that AWS holds for them."""

    site: Site
    clients: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[bool, bool]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.wait(0.1):
            self.seen.append((self.reads(OLD), self.reads(NEW)))

    def reads(self, group: str) -> bool:
        """Whether AWS lets the person in."""
        client = self.clients.get(group) or self.client_of(group)
        try:
            return client is not None and bool(client.list_objects_v2(Bucket=BUCKET, Prefix=f"{group}/"))
        except ClientError:
            return False

    def client_of(self, group: str) -> Any:
        """A client with the key that the group's stack wrote into its secret, once it has."""
        manager = self.site.root("secretsmanager")
        filters = [{"Key": "name", "Values": [f"cohort/{group}/"]}]
        for secret in manager.list_secrets(Filters=filters)["SecretList"]:
            key = json.loads(manager.get_secret_value(SecretId=secret["Name"])["SecretString"])
            self.clients[group] = self.site.client("s3", key)
        return self.clients.get(group)


@pytest.fixture(scope="module")
def labs(site: Site) -> Site:
    site.must("analysis", "create", "moving", "--bucket", BUCKET)
    for slug in (OLD, NEW):
        site.must("group", "create", slug)
        site.must("analysis", "grant", "moving", slug)
    for email, access in ((MOVER, "keys"), (GUEST, "federated")):
        site.must("member", "add", OLD, email, "--access", access, "--create")
    site.wait_for_deployments()
    return site


def test_who_moves_is_never_without_access_and_ends_up_in_the_new_group_alone(labs: Site) -> None:
    site = labs
    watch = Watch(site)
    assert (watch.reads(OLD), watch.reads(NEW)) == (True, False)
    watcher = threading.Thread(target=watch.run)
    watcher.start()
    try:
        moved = site.must("member", "move", OLD, MOVER, NEW, "--wait")
        assert moved["deployment"]["state"] == "succeeded"
        deadline = time.monotonic() + 60
        while watch.reads(OLD):
            assert time.monotonic() < deadline, "the old access did not end"
            time.sleep(0.2)
        time.sleep(0.3)
    finally:
        watch.stop.set()
        watcher.join()
    assert all(old or new for old, new in watch.seen)
    assert watch.seen[-1] == (False, True)
    site.wait_for_deployments()
    users = site.root("iam").list_users(PathPrefix="/cohort/")["Users"]
    assert not [user for user in users if user["Path"] == f"/cohort/{OLD}/"]
    assert len([user for user in users if user["Path"] == f"/cohort/{NEW}/"]) == 1
    secrets = [secret["Name"] for secret in site.root("secretsmanager").list_secrets()["SecretList"]]
    assert not [name for name in secrets if name.startswith(f"cohort/{OLD}/")]


def test_whose_time_is_over_is_shut_out_by_the_sweep(labs: Site) -> None:
    site = labs
    until = site.must("member", "until", OLD, GUEST, "2031-06-30")
    assert until["member"]["ends_at"].startswith("2031-06-30")
    s3 = site.client("s3", site.credentials(OLD, GUEST))
    s3.put_object(Bucket=BUCKET, Key=f"{OLD}/inputs/last.csv", Body=b"1,2\n")
    assert site.manage("member", "until", OLD, GUEST, "2020-01-01").status == 2
    pass_time = (
        "from control_plane.access.groups.models import Membership; from django.utils import timezone; "
        f"Membership.objects.filter(user__email={GUEST!r}).update(ends_at=timezone.now())"
    )
    assert site.manage("shell", "-c", pass_time).status == 0
    assert site.manage("sweep").status == 0
    site.wait_for_deployments()
    assert refused(s3.get_object, Bucket=BUCKET, Key=f"{OLD}/inputs/last.csv")
    assert site.manage("member", "credentials", OLD, GUEST).status == 2
    # The data stays with the group.
    assert site.root("s3").get_object(Bucket=BUCKET, Key=f"{OLD}/inputs/last.csv")["Body"].read() == b"1,2\n"
    lines = site.manage("audit", "export", "--format", "jsonl").out.splitlines()
    events = {value["action"] for value in map(json.loads, lines) if GUEST in value["target"]}
    assert {"member.ends", "member.remove"} <= events

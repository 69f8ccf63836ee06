"""A restored database is older than some groups: they are found on AWS, and taken over or removed."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import NewControl
from tests.engine.control import ACCOUNT, PATIENCE_SECONDS, Control, works

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
Key = tuple[str, str]
WHOLE = "emmy@example.org"


@dataclass
class Lost:
    """A control plane that knows nothing of three groups: what each is called, and the key of each member by e-mail address."""

    control: Control
    lab: str
    gone: str
    whole: str
    # One that the backup knows, from which somebody was removed after it, and to which somebody was added.
    known: str
    keys: dict[str, Key]
    usernames: dict[str, str]

    def unmanaged(self) -> dict[str, dict[str, Any]]:
        """What waits for a decision, by name."""
        return {row["name"]: row for row in self.control.do("unmanaged")}

    def until(self, holds: Callable[[dict[str, dict[str, Any]]], bool]) -> dict[str, dict[str, Any]]:
        """Wait until that is as wanted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds(found := self.unmanaged()):
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
        return found

    def lets_in(self, email: str) -> bool:
        """Whether AWS knows the key that somebody had."""
        return works(self.control.cloud, *self.keys[email])


@pytest.fixture
def lost(new_control: NewControl, tmp_path: Path) -> Lost:
    """Three groups were made after the backup, and one was changed; then everything was lost and restored, and a worker runs."""
    control = new_control("sqlite", BACKUP_STORE=str(tmp_path / "backups"), COHORT_IAM_CHECKS="true")
    worker = control.worker(COHORT_IAM_CHECKS="false")
    control.do("look_outside")
    lab, gone, whole, known = (control.slug(name) for name in ("lab", "gone", "whole", "known"))
    control.do("group", slug=known)
    control.do("grant", analysis="ephys", slug=known)
    for email in ("ada@example.org", "gus@example.org"):
        control.do("add", slug=known, email=email, access="keys")
    control.settled()
    control.manage("backup", "create")
    control.do("add", slug=known, email="hana@example.org", access="keys")
    control.do("remove", slug=known, email="gus@example.org")
    for slug in (lab, gone, whole):
        control.do("group", slug=slug)
        control.do("grant", analysis="ephys", slug=slug)
    control.do("grant", analysis="video", slug=lab, level="read-only")
    for slug, email in ((lab, "bob@example.org"), (lab, "cleo@example.org"), (gone, "eve@example.org"), (whole, WHOLE)):
        control.do("add", slug=slug, email=email, access="keys")
    control.settled()
    control.do("rotate", slug=whole, email=WHOLE)
    dump = control.settled()
    secrets = control.cloud.root("secretsmanager")
    keys, usernames = {}, {}
    for member in dump["members"]:
        stored = secrets.get_secret_value(SecretId=f"cohort/{member['group']}/{member['username']}")["SecretString"]
        keys[member["email"]] = tuple(json.loads(stored)[name] for name in ("AccessKeyId", "SecretAccessKey"))
        usernames[member["email"]] = member["username"]
    worker.kill()
    control.lose_disk()
    control.manage("backup", "restore", "latest")
    control.worker()
    return Lost(control, lab, gone, whole, known, keys, usernames)


def test_groups_made_after_the_backup_are_found_and_taken_over_or_removed(lost: Lost) -> None:
    control, stacks = lost.control, {f"Group-{slug}" for slug in (lost.lab, lost.gone, lost.whole)}
    strays = make_strays(control)
    assert {member["group"] for member in control.dump()["members"]} == {lost.known}
    found = lost.until(lambda now: all(now.get(name, {}).get("users") for name in stacks))
    assert found.keys() >= {row["name"] for row in json.loads(control.manage("review", "unmanaged", "--json"))["unmanaged"]}
    lab = found[f"Group-{lost.lab}"]
    assert lab["reach"] == [
        {"bucket": "cohort-engine-ephys", "rights": "list, read, write, delete"},
        {"bucket": "cohort-engine-video", "rights": "list, read"},
    ]
    assert {user["name"]: user["keys"] for user in lab["users"]} == {
        f"cohort-{lost.lab}-{lost.usernames[email]}": 1 for email in ("bob@example.org", "cleo@example.org")
    }
    assert all(lost.lets_in(email) for email in lost.keys), "until somebody decides, they are shown and go on"

    # Bob is known again, with the key that he has; whom nobody knows is shut out.
    person = f"{lost.usernames['bob@example.org']}=bob@example.org"
    control.manage("review", "take-over", lab["name"], "--confirm", lab["name"], "--person", person, "--wait")
    assert [member["email"] for member in control.dump()["members"] if member["group"] == lost.lab] == ["bob@example.org"]
    assert (lost.lets_in("bob@example.org"), lost.lets_in("cleo@example.org")) == (True, False)

    gone = f"Group-{lost.gone}"
    control.manage("review", "remove", gone, "--confirm", gone, "--wait")
    assert not lost.lets_in("eve@example.org")
    live = control.cloud.root("cloudformation").list_stacks()["StackSummaries"]
    assert gone not in {stack["StackName"] for stack in live if stack["StackStatus"] != "DELETE_COMPLETE"}
    assert_taken_over_whole(lost)
    assert not stacks & lost.unmanaged().keys()
    # The group is one like any other from now on.
    control.do("add", slug=lost.lab, email="dora@example.org", access="keys")
    control.settled()
    assert lost.lets_in("bob@example.org")
    assert_removed(lost, *strays)
    assert_known_group_taken_over(lost)


def assert_taken_over_whole(lost: Lost) -> None:
    """Of a group whose members are all known nothing changes on AWS, and a repair finds nothing to change."""
    name, control = f"Group-{lost.whole}", lost.control
    client = control.cloud.root("cloudformation")
    before = client.describe_stack_events(StackName=name)["StackEvents"][0]["EventId"]
    control.do("take_over", name=name, people={lost.usernames[WHOLE]: WHOLE})
    dump = control.until(lambda now: any(stack["name"] == name and stack["drift_state"] == "in-sync" for stack in now["stacks"]))
    assert (dump["open"], dump["out_of_step"]) == (0, [])
    control.do("repair", slug=lost.whole)
    control.settled()
    assert [
        resource["LogicalResourceId"] for resource in events_since(client, name, before) if "IAM" in resource["ResourceType"]
    ] == []
    assert lost.lets_in(WHOLE)


def assert_known_group_taken_over(lost: Lost) -> None:
    """Who came after the backup keeps their key through the next deployment, and who was removed after it stays out."""
    control, name, slug, hana = lost.control, f"Group-{lost.known}", lost.known, "hana@example.org"
    path, iam = f"/cohort/{slug}/", control.cloud.root("iam")
    control.until(lambda now: any(stack["name"] == name and stack["drift_state"] == "drifted" for stack in now["stacks"]))
    control.do("look_outside")
    [waiting] = [row for row in json.loads(control.manage("review", "unmanaged", "--json"))["unmanaged"] if row["name"] == name]
    assert [member["username"] for member in waiting["members"]] == [lost.usernames[hana]]
    assert "stay out: gus@example.org." in " ".join(waiting["changes_here"])
    control.manage("review", "take-over", name, "--confirm", name, "--person", f"{lost.usernames[hana]}={hana}")
    dump = control.until(lambda now: any(stack["name"] == name and stack["drift_state"] == "in-sync" for stack in now["stacks"]))
    assert (dump["open"], dump["out_of_step"]) == (0, [])
    control.do("add", slug=slug, email="iris@example.org", access="keys")
    members = {member["username"]: member["email"] for member in control.settled()["members"] if member["group"] == slug}
    assert set(members.values()) == {"ada@example.org", hana, "iris@example.org"}
    assert (lost.lets_in("ada@example.org"), lost.lets_in(hana)) == (True, True)
    assert {user["UserName"] for user in iam.list_users(PathPrefix=path)["Users"]} == {
        f"cohort-{slug}-{member}" for member in members
    }


def make_strays(control: Control) -> tuple[str, str]:
    """A user, an IAM group, a role and a secret under Cohort's names, as a stack that somebody deleted by halves leaves them.

    Returns the user's access key.
    """
    iam, slug, path = control.cloud.root("iam"), control.slug("stray"), f"/cohort/{control.slug('stray')}/"
    name, role = f"cohort-{slug}-{'m' * 12}", f"cohort-{slug}"
    attached = iam.create_policy(PolicyName=f"{role}-1", Path=path, PolicyDocument=allowing("s3:PutObject"))["Policy"]["Arn"]
    iam.create_group(GroupName=role, Path=path)
    iam.put_group_policy(GroupName=role, PolicyName="own", PolicyDocument=allowing("s3:GetObject"))
    iam.attach_group_policy(GroupName=role, PolicyArn=attached)
    iam.create_user(UserName=name, Path=path)
    iam.add_user_to_group(GroupName=role, UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=allowing("s3:ListBucket"))
    iam.attach_user_policy(UserName=name, PolicyArn=attached)
    iam.create_login_profile(UserName=name, Password="Only-for-a-test-0")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName=role, Path=path, AssumeRolePolicyDocument=document)
    iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=allowing("s3:GetObject"))
    iam.attach_role_policy(RoleName=role, PolicyArn=attached)
    control.cloud.root("secretsmanager").create_secret(Name=f"cohort/{slug}/{'m' * 12}", SecretString="{}")
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def assert_removed(lost: Lost, *key: str) -> None:
    """Each of the strays is found and removed, by the rights that the worker has."""
    control, slug = lost.control, lost.control.slug("stray")
    control.do("look_outside")
    strays = {(row["kind"], row["name"]) for row in control.do("unmanaged") if slug in row["name"]}
    own = {("role", f"cohort-{slug}"), ("iam-group", f"cohort-{slug}")}
    assert strays == own | {("user", f"cohort-{slug}-{'m' * 12}"), ("secret", f"cohort/{slug}/{'m' * 12}")}
    assert works(control.cloud, *key)
    for kind, name in strays:
        control.do("remove_unmanaged", name=name, kind=kind)
    lost.until(lambda now: not any(slug in name for name in now))
    assert not works(control.cloud, *key)
    iam, path = control.cloud.root("iam"), f"/cohort/{slug}/"
    there = [iam.list_users(PathPrefix=path)["Users"], iam.list_roles(PathPrefix=path)["Roles"]]
    assert [*there, iam.list_groups(PathPrefix=path)["Groups"]] == [[], [], []]


def allowing(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::cohort-engine-ephys*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def events_since(client: Any, name: str, before: str) -> list[dict[str, Any]]:
    found = []
    for event in client.describe_stack_events(StackName=name)["StackEvents"]:
        if event["EventId"] == before:
            break
        found.append(event)
    return found

"""The predecessor's live stacks become ours, and nobody's key is refused once."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.site import Finished, Site
from tests.e2e.test_main_job import refused
from tests.predecessor import letters, template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BUCKET = "cohort-e2e-adopted"
LAB, NORTH, SOUTH, FOREIGN = "adoptlab", "adoptnorth", "adoptsouth", "adoptforeign"
ONE_STACK, TWO_STACK, FOREIGN_STACK = "adopt-lab-one", "adopt-lab-two", "adopt-not-yours"
UNA, BEN, CHO, DEE = "una1597000001", "benadopt", "choadopt", "deeadopt"

Key = dict[str, str]


@dataclass
class Poll:
    """What came of asking S3 with each key, every 100 ms."""

    asked: int = 0
    refusals: list[str] = field(default_factory=list)


def deploy(site: Site, stack: str, document: dict[str, Any]) -> dict[str, Key]:
    """Deploy the predecessor's stack, and return each user's key from its outputs, where the predecessor's site read them too."""
    cloudformation = site.root("cloudformation")
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(document), Capabilities=["CAPABILITY_NAMED_IAM"])
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    return {
        name.removeprefix("AccessKey"): {"AccessKeyId": value, "SecretAccessKey": outputs[f"Secret{name}"]}
        for name, value in outputs.items()
        if name.startswith("AccessKey")
    }


@contextmanager
def polled(site: Site, keys: dict[str, Key], group: str) -> Iterator[Poll]:
    """Read and write with each key all the time."""
    poll, stop = Poll(), threading.Event()
    clients = [site.client("s3", key) for key in keys.values()]

    def ask() -> None:
        while not stop.is_set():
            for client in clients:
                poll.asked += 1
                try:
                    client.get_object(Bucket=BUCKET, Key=f"{group}/inputs/x")
                    client.put_object(Bucket=BUCKET, Key=f"{group}/inputs/y", Body=b"y")
                except ClientError as error:
                    poll.refusals.append(str(error))
            stop.wait(0.1)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield poll
    finally:
        stop.set()
        thread.join()


def legacy(site: Site, *arguments: str) -> Finished:
    """As an operator with rights of their own."""
    own = {"AWS_ACCESS_KEY_ID": site.env_file["COHORT_ACCOUNT"], "AWS_SECRET_ACCESS_KEY": "root"}
    return site.manage("legacy", *arguments, **own)


def killed_after_each_step(site: Site, *arguments: str) -> None:
    """Run it again and again, and have it end as it has done one step more."""
    script = f"""
from django.core.management import call_command
from control_plane.neurocaas_import import adopt_steps
real = adopt_steps.STEPS
def dying(step):
    def die(work, adoption):
        step(work, adoption)
        raise KeyboardInterrupt
    return die
for last in real:
    adopt_steps.STEPS = tuple(dying(one) if one is last else one for one in real)
    try:
        call_command("legacy", {", ".join(repr(one) for one in arguments)})
    except KeyboardInterrupt:
        print("killed")
"""
    own = {"AWS_ACCESS_KEY_ID": site.env_file["COHORT_ACCOUNT"], "AWS_SECRET_ACCESS_KEY": "root"}
    done = site.manage("shell", "-c", script, **own)
    assert done.out.count("killed\n") == 6, done.out + done.err


def stack_there(site: Site, stack: str) -> bool:
    return any(
        item["StackName"] == stack and item["StackStatus"] != "DELETE_COMPLETE"
        for item in site.root("cloudformation").describe_stacks()["Stacks"]
    )


def users_of(site: Site, slug: str) -> dict[str, list[str]]:
    """The IAM users under the group's path, and their keys' ids."""
    iam = site.root("iam")
    users = iam.list_users(PathPrefix=f"/cohort/{slug}/")["Users"]
    return {
        user["UserName"]: [key["AccessKeyId"] for key in iam.list_access_keys(UserName=user["UserName"])["AccessKeyMetadata"]]
        for user in users
    }


def everything_foreign(site: Site) -> Any:
    iam, cloudformation = site.root("iam"), site.root("cloudformation")
    name = f"{FOREIGN}usercentricgroup"
    group = iam.get_group(GroupName=name)
    return (
        [user["Arn"] for user in group["Users"]],
        iam.get_group_policy(GroupName=name, PolicyName=f"{FOREIGN}policy")["PolicyDocument"],
        cloudformation.describe_stacks(StackName=FOREIGN_STACK)["Stacks"][0].get("LastUpdatedTime"),
        [
            resource["PhysicalResourceId"]
            for resource in cloudformation.describe_stack_resources(StackName=FOREIGN_STACK)["StackResources"]
        ],
    )


@dataclass
class Old:
    """The predecessor's stacks, deployed."""

    site: Site
    lab: dict[str, Key]
    two: dict[str, Key]
    foreign: dict[str, Key]
    emails: str


@pytest.fixture(scope="module")
def old(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Old:
    site.must("analysis", "create", "adopted", "--bucket", BUCKET, "--wait")
    for group in (LAB, NORTH, SOUTH, FOREIGN):
        site.root("s3").put_object(Bucket=BUCKET, Key=f"{group}/inputs/x", Body=b"trace")
    lab = deploy(site, ONE_STACK, template((LAB, [UNA, BEN], [BUCKET])))
    kept = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "adopt-kept"}}}
    two = deploy(site, TWO_STACK, template((NORTH, [CHO], [BUCKET]), (SOUTH, [DEE], [BUCKET]), further=kept))
    foreign = deploy(site, FOREIGN_STACK, template((FOREIGN, ["elsewhere"], [BUCKET])))
    # A user of somebody else's stack is in the north lab's IAM group too.
    site.root("iam").add_user_to_group(GroupName=f"{NORTH}usercentricgroup", UserName="elsewhereus-east-1")
    emails = tmp_path_factory.mktemp("adopt") / "emails.csv"
    emails.write_text("username,email\n" + "".join(f"{user},{letters(user)}@example.org\n" for user in (UNA, BEN, CHO, DEE)))
    return Old(site, lab, two, foreign, str(emails))


def test_a_dry_run_says_what_would_be_done_and_does_nothing(old: Old) -> None:
    bare = legacy(old.site, "adopt", ONE_STACK, "--json")
    assert bare.status == 2
    assert "nobody's address is known" in json.dumps(bare.document["refused"])
    before = old.site.root("iam").list_users()["Users"]
    dry = legacy(old.site, "adopt", ONE_STACK, "--emails", old.emails)
    assert dry.status == 0, dry.err + dry.out
    assert f"{UNA}us-east-1 -> {UNA}@example.org: key {old.lab[UNA]['AccessKeyId']} goes on working" in dry.out
    assert f"SecretAccessKey{UNA}" in dry.out
    assert "Nothing was changed" in dry.out
    assert old.lab[UNA]["SecretAccessKey"] not in dry.out
    assert old.site.root("iam").list_users()["Users"] == before
    assert not any(group["slug"] == LAB for group in old.site.must("group", "list"))


def test_keys_work_all_the_time_while_a_stack_is_adopted_by_a_command_that_is_killed_after_each_step(old: Old) -> None:
    site = old.site
    ours = ("adopt", ONE_STACK, "--emails", old.emails, "--settle", "0", "--apply")
    foreign = everything_foreign(site)
    with polled(site, old.lab, LAB) as poll:
        killed_after_each_step(site, *ours)
        done = legacy(site, *ours, "--json")
        time.sleep(0.3)
    assert poll.refusals == []
    assert poll.asked > 20
    assert done.status == 0, done.err + done.out
    assert done.document["nothing_to_do"]
    assert not stack_there(site, ONE_STACK)
    held = users_of(site, LAB)
    assert sorted(len(keys) for keys in held.values()) == [2, 2]
    iam = site.root("iam")
    assert f"{LAB}usercentricgroup" not in {group["GroupName"] for group in iam.list_groups()["Groups"]}
    assert [group["GroupName"] for name in held for group in iam.list_groups_for_user(UserName=name)["Groups"]] == [
        f"cohort-{LAB}"
    ] * 2
    boundaries = [iam.get_user(UserName=name)["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] for name in held]
    assert [arn.rsplit("/")[-1] for arn in boundaries] == ["cohort-boundary"] * 2
    resources = site.root("cloudformation").describe_stack_resources(StackName=f"Group-{LAB}")["StackResources"]
    assert {resource["PhysicalResourceId"] for resource in resources if resource["ResourceType"] == "AWS::IAM::User"} == set(held)
    body = site.root("cloudformation").get_template(StackName=f"Group-{LAB}")["TemplateBody"]
    assert "Retain" not in json.dumps(body)
    assert everything_foreign(site) == foreign


def test_the_new_key_works_and_the_old_one_ends_when_it_is_removed(old: Old) -> None:
    site, email = old.site, f"{UNA}@example.org"
    fresh = site.credentials(LAB, email)
    for key in (fresh, old.lab[UNA]):
        site.client("s3", key).put_object(Bucket=BUCKET, Key=f"{LAB}/inputs/z", Body=b"z")
    refusal = site.manage("member", "rotate", LAB, email)
    assert refusal.status == 2
    assert "from before Cohort" in refusal.err
    (row,) = [legacy for legacy in site.must("legacy", "keys", "list") if legacy["email"] == email]
    site.must("legacy", "keys", "remove", row["access_key_id"])
    deadline = time.monotonic() + 20
    while not refused(site.client("s3", old.lab[UNA]).get_object, Bucket=BUCKET, Key=f"{LAB}/inputs/x"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    site.client("s3", fresh).get_object(Bucket=BUCKET, Key=f"{LAB}/inputs/x")
    assert site.must("member", "rotate", LAB, email, "--wait")["deployment"]["state"] == "succeeded"


def test_who_is_removed_takes_the_old_key_along(old: Old) -> None:
    site = old.site
    ended = site.must("member", "remove", LAB, f"{BEN}@example.org", "--wait")
    assert ended["deployment"]["state"] == "succeeded", ended
    assert refused(site.client("s3", old.lab[BEN]).get_object, Bucket=BUCKET, Key=f"{LAB}/inputs/x")
    assert len(users_of(site, LAB)) == 1
    secrets = site.root("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"]
    assert len([secret for secret in secrets if secret["Name"].startswith(f"cohort/{LAB}/")]) == 1
    # Federated from now on, where they had a key.
    site.must("member", "add", LAB, f"{BEN}@example.org", "--wait")
    session = site.client("s3", site.credentials(LAB, f"{BEN}@example.org"))
    session.get_object(Bucket=BUCKET, Key=f"{LAB}/inputs/x")


def test_one_of_two_groups_is_adopted_and_the_rest_of_the_stack_stays(old: Old) -> None:
    site, foreign = old.site, everything_foreign(old.site)
    ours = ("adopt", TWO_STACK, "--emails", old.emails, "--settle", "0", "--apply")
    with polled(site, {CHO: old.two[CHO]}, NORTH) as north, polled(site, {DEE: old.two[DEE]}, SOUTH) as south:
        done = legacy(site, *ours, "--group", NORTH)
        assert done.status == 0, done.err + done.out
        kept = site.root("cloudformation").describe_stack_resources(StackName=TWO_STACK)["StackResources"]
        assert {resource["LogicalResourceId"] for resource in kept} == {
            "Topic",
            f"{SOUTH}usergroup",
            f"{SOUTH}user{DEE}",
            f"userkey{DEE}",
            f"{SOUTH}addition",
        }
        # Whom that stack did not make is still in the old group, which stays for them.
        members = site.root("iam").get_group(GroupName=f"{NORTH}usercentricgroup")["Users"]
        assert [member["UserName"] for member in members] == ["elsewhereus-east-1"]
        assert legacy(site, *ours).status == 0
    assert north.refusals + south.refusals == []
    kept = site.root("cloudformation").describe_stack_resources(StackName=TWO_STACK)["StackResources"]
    assert [resource["LogicalResourceId"] for resource in kept] == ["Topic"]
    assert not site.root("cloudformation").describe_stacks(StackName=TWO_STACK)["Stacks"][0].get("Outputs")
    assert everything_foreign(site) == foreign
    assert len(users_of(site, NORTH)) == len(users_of(site, SOUTH)) == 1
    site.client("s3", old.foreign["elsewhere"]).get_object(Bucket=BUCKET, Key=f"{FOREIGN}/inputs/x")

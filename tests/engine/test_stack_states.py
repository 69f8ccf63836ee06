"""States that CloudFormation leaves a stack in and that cannot be deployed to: the worker leads it out, or says what holds it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stacks import names
from tests.engine.running import Row, Running
from tests.local_aws.helpers import ended as stack_ended
from tests.local_aws.helpers import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

ADA, GRACE, STRANGER = "ada@example.org", "grace@example.org", "stranger"
PUTS_BACK = "What was changed outside Cohort is put back too (a drift-aware change set)"
NAMED_IAM = ["CAPABILITY_NAMED_IAM"]


@pytest.fixture(autouse=True)
def _calm(running: Running) -> Iterator[None]:
    yield
    running.cloud.aws.set_pace(0)


def template_of(running: Running, slug: str) -> dict[str, Any]:
    """What AWS holds."""
    body = running.cloud.root("cloudformation").get_template(StackName=f"Group-{slug}", TemplateStage="Original")["TemplateBody"]
    template: dict[str, Any] = json.loads(body if isinstance(body, str) else json.dumps(body))
    return template


def update_by_hand(running: Running, slug: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Somebody else updates the stack, with a template of their own."""
    template = template_of(running, slug)
    change(template)
    running.cloud.root("cloudformation").update_stack(
        StackName=f"Group-{slug}", TemplateBody=json.dumps(template), Capabilities=NAMED_IAM
    )


def test_a_stack_in_review_is_removed_and_made(running: Running, lab_name: str) -> None:
    """Left behind by somebody whose first change set was never executed."""
    slug = running.control.slug(lab_name)
    resources = {"Other": {"Type": "AWS::IAM::Group", "Properties": {"GroupName": f"other-{slug}"}}}
    running.cloud.root("cloudformation").create_change_set(
        StackName=f"Group-{slug}",
        ChangeSetName="left",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps({"Resources": resources}),
        Capabilities=NAMED_IAM,
    )
    assert running.aws_status(slug) == "REVIEW_IN_PROGRESS"
    running.control.do("group", slug=slug)
    ended = running.ends(slug, "succeeded")
    assert f"Group-{slug} is REVIEW_IN_PROGRESS, which cannot be deployed to: removing it first" in ended["log"]
    running.control.assert_aws_holds_what_the_database_says()


def test_a_rollback_that_failed_is_continued_and_what_it_left_is_put_right(running: Running, lab_name: str) -> None:
    slug, iam = running.lab(lab_name, ADA), running.cloud.root("iam")
    iam.create_user(UserName=f"taken-{slug}")

    def break_it(template: dict[str, Any]) -> None:
        resources = template["Resources"]
        resources["Access1"]["Properties"]["PolicyDocument"]["Statement"].pop()
        resources["Taken"] = {
            "Type": "AWS::IAM::User",
            "DependsOn": "Access1",
            "Properties": {"UserName": f"taken-{slug}"},
        }

    arn = f"arn:aws:iam::111122223333:policy{names.iam_path(slug)}{names.policy(slug, 1)}"
    # The user that cannot be made waits until the policy is gone.
    with running.cloud.slowly(60, "AWS::IAM::User"):
        update_by_hand(running, slug, break_it)
        wait_for(running.cloud.aws, f"Group-{slug}", "Access1", "UPDATE_COMPLETE")
        detach_and_delete(iam, arn, slug)
    assert stack_ended(running.cloud.aws, f"Group-{slug}")["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    iam.delete_user(UserName=f"taken-{slug}")
    running.control.do("add", slug=slug, email=GRACE, access="keys")
    ended = running.ends(slug, "succeeded")
    assert f"Group-{slug} is UPDATE_ROLLBACK_FAILED: having CloudFormation go on with taking its changes back" in ended["log"]
    assert "It failed again; going on without Access1, which the deployment then puts right" in ended["log"]
    assert PUTS_BACK in ended["log"]
    running.control.assert_aws_holds_what_the_database_says()


def test_a_removal_that_failed_says_what_holds_the_stack_and_goes_on_without_that(running: Running, lab_name: str) -> None:
    slug, iam = running.lab(lab_name, ADA), running.cloud.root("iam")
    stranger = f"{STRANGER}-{slug}"
    iam.create_user(UserName=stranger)
    iam.add_user_to_group(GroupName=names.iam_group(slug), UserName=stranger)
    running.cloud.root("cloudformation").delete_stack(StackName=f"Group-{slug}")
    assert stack_ended(running.cloud.aws, f"Group-{slug}")["StackStatus"] == "DELETE_FAILED"
    running.control.do("add", slug=slug, email=GRACE, access="keys")
    failed = running.ends(slug, "failed")
    assert "The stack is DELETE_FAILED: AWS::IAM::Group “KeyHoldersGroup" in failed["error"]
    assert stranger in failed["error"]
    assert "Remove what holds it on AWS, then deploy again" in failed["advice"]
    assert failed["failure"] == "permanent"
    iam.remove_user_from_group(GroupName=names.iam_group(slug), UserName=stranger)
    running.control.do("retry", deployment=failed["id"])
    ended = running.ends(slug, "succeeded")
    assert f"Group-{slug} is DELETE_FAILED, which cannot be deployed to: removing it first" in ended["log"]
    running.control.assert_aws_holds_what_the_database_says()


def test_a_stack_that_somebody_else_is_updating_is_waited_for(running: Running, lab_name: str) -> None:
    slug = running.lab(lab_name, ADA)
    with running.cloud.slowly(30):
        update_by_hand(running, slug, lambda template: template["Resources"]["Access1"]["Properties"].update(Description="Other"))
        running.control.do("add", slug=slug, email=GRACE, access="keys")
        waiting = f"Group-{slug} is UPDATE_IN_PROGRESS: waiting until CloudFormation has ended"
        running.when(slug, lambda one: waiting in one["log"])
    ended = running.ends(slug, "succeeded")
    assert ended["attempts"] == 1
    running.control.assert_aws_holds_what_the_database_says()


def test_a_key_holder_deleted_outside_is_made_again_by_the_next_change_to_them(running: Running, lab_name: str) -> None:
    slug = running.lab(lab_name, ADA, GRACE)
    delete_user(running, holder(running, slug, ADA))
    running.control.do("rotate", slug=slug, email=ADA)
    ended = running.ends(slug, "succeeded")
    assert ended["attempts"] == 2
    failed = next(line for line in ended["log"] if line.startswith("Failed: "))
    assert "AWS::IAM::AccessKey" in failed
    assert PUTS_BACK in ended["log"]
    running.control.assert_aws_holds_what_the_database_says()


def test_a_policy_changed_outside_is_found_and_put_back(running: Running, lab_name: str) -> None:
    slug, iam = running.lab(lab_name, ADA), running.cloud.root("iam")
    arn = f"arn:aws:iam::111122223333:policy{names.iam_path(slug)}{names.policy(slug, 1)}"
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    assert drift(running, slug) == ("in-sync", [])
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(wide), SetAsDefault=True)
    state, (difference,) = drift(running, slug)
    assert (state, difference["logical_id"], difference["type"]) == ("drifted", "Access1", "AWS::IAM::ManagedPolicy")
    assert any("s3:*" in item["actual"] for item in difference["properties"])
    repaired(running, slug)


def test_a_user_made_outside_under_a_group_s_path_is_found(running: Running, lab_name: str) -> None:
    slug, iam = running.lab(lab_name), running.cloud.root("iam")
    iam.create_user(UserName=f"{STRANGER}-{slug}", Path=names.iam_path(slug))
    state, (difference,) = drift(running, slug)
    iam.delete_user(UserName=f"{STRANGER}-{slug}")
    assert (state, difference["logical_id"], difference["status"]) == ("drifted", f"{STRANGER}-{slug}", "added")


def test_what_somebody_added_to_a_key_holder_is_found_and_taken_back_as_far_as_the_worker_may(
    running: Running, lab_name: str
) -> None:
    slug, iam = running.lab(lab_name, ADA, GRACE), running.cloud.root("iam")
    user, group, stranger = holder(running, slug, ADA), names.iam_group(slug), f"{STRANGER}-{slug}"
    wide = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
    added = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    iam.create_login_profile(UserName=user, Password="of-nobody-1234567890")
    iam.put_user_policy(UserName=user, PolicyName="more", PolicyDocument=wide)
    iam.put_role_policy(RoleName=names.role(slug), PolicyName="more", PolicyDocument=wide)
    iam.create_user(UserName=stranger)
    iam.add_user_to_group(GroupName=group, UserName=stranger)
    state, found = drift(running, slug)
    assert state == "drifted"
    notes = {resource["type"].rpartition("::")[2]: resource["note"] for resource in found if "note" in resource}
    assert added in notes["AccessKey"]
    assert {"LoginProfile", "UserPolicy", "UserToGroupAddition"} <= notes.keys()
    running.control.do("repair", slug=slug)
    ended = running.ends(slug, "succeeded")
    assert f"deleted the access key {added} of {user}, which was added outside Cohort" in ended["log"]
    # What the worker has no right to is still told, and is for somebody to do.
    state, found = checked(running, slug)
    assert (state, {resource["type"].rpartition("::")[2] for resource in found}) == (
        "drifted",
        {"LoginProfile", "UserToGroupAddition"},
    )
    iam.delete_login_profile(UserName=user)
    iam.remove_user_from_group(GroupName=group, UserName=stranger)
    assert drift(running, slug) == ("in-sync", [])


def test_a_key_holder_whom_cloudformation_cannot_remove_is_a_failure_until_they_are_gone(running: Running, lab_name: str) -> None:
    slug, iam = running.lab(lab_name, ADA), running.cloud.root("iam")
    user = holder(running, slug, ADA)
    added = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    running.control.do("remove", slug=slug, email=ADA)
    failed = running.ends(slug, "failed")
    assert f"({user})”" in failed["error"]
    assert "could not remove AWS::IAM::User" in failed["error"]
    # Nothing changes any more, and it is no success for that.
    running.control.do("retry", deployment=failed["id"])
    again = running.when(slug, lambda one: one["id"] != failed["id"] and one["state"] not in ("queued", "running"))
    assert (again["state"], again["error"]) == ("failed", failed["error"])
    iam.delete_access_key(UserName=user, AccessKeyId=added)
    iam.delete_user(UserName=user)
    running.control.do("retry", deployment=again["id"])
    running.when(slug, lambda one: one["state"] == "succeeded")
    running.control.assert_aws_holds_what_the_database_says()


def test_a_stack_deleted_outside_is_missed_and_made_again(running: Running, lab_name: str) -> None:
    slug = running.lab(lab_name, ADA)
    running.cloud.root("cloudformation").delete_stack(StackName=f"Group-{slug}")
    running.control.until(lambda dump: running.aws_status(slug) in ("", "DELETE_COMPLETE"))
    state, (difference,) = drift(running, slug)
    assert (state, difference["what"], difference["status"]) == ("missing", "stack", "missing")
    repaired(running, slug)


def test_a_template_that_somebody_else_deployed_is_told_and_repaired(running: Running, lab_name: str) -> None:
    slug = running.lab(lab_name, ADA)

    def widen(template: dict[str, Any]) -> None:
        extra = {"GroupName": f"extra-{slug}", "Path": names.iam_path(slug)}
        template["Resources"]["Extra"] = {"Type": "AWS::IAM::Group", "Properties": extra}

    update_by_hand(running, slug, widen)
    assert stack_ended(running.cloud.aws, f"Group-{slug}")["StackStatus"] == "UPDATE_COMPLETE"
    state, (difference,) = drift(running, slug)
    assert (state, difference["what"]) == ("drifted", "template")
    assert [item["path"] for item in difference["properties"]] == ["template"]
    repaired(running, slug)
    assert f"extra-{slug}" not in {group["GroupName"] for group in running.cloud.root("iam").list_groups()["Groups"]}


def drift(running: Running, slug: str) -> tuple[str, list[dict[str, Any]]]:
    """Have the group checked, and say what was found."""
    running.control.do("check", slug=slug)
    return checked(running, slug)


def checked(running: Running, slug: str) -> tuple[str, list[dict[str, Any]]]:
    running.control.until(lambda dump: running.stack(slug)["drift_state"] not in ("checking", "unknown"))
    found = running.stack(slug)
    return found["drift_state"], found["drift"]


def repaired(running: Running, slug: str) -> None:
    """Ask for a repair: AWS then holds what the database says, which is looked at again without being asked."""
    running.control.do("repair", slug=slug)
    running.ends(slug, "succeeded")
    running.control.assert_aws_holds_what_the_database_says()
    assert checked(running, slug) == ("in-sync", [])


def holder(running: Running, slug: str, email: str) -> str:
    """The member's IAM user."""
    members = running.control.dump()["members"]
    return names.user(slug, next(member["username"] for member in members if (member["group"], member["email"]) == (slug, email)))


def delete_user(running: Running, name: str) -> None:
    """As somebody in the console would, who deletes what the user has with it."""
    iam = running.cloud.root("iam")
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for group in iam.list_groups_for_user(UserName=name)["Groups"]:
        iam.remove_user_from_group(GroupName=group["GroupName"], UserName=name)
    iam.delete_user(UserName=name)


def detach_and_delete(iam: Any, arn: str, slug: str) -> None:
    """Delete the group's policy."""
    iam.detach_role_policy(RoleName=names.role(slug), PolicyArn=arn)
    iam.detach_group_policy(GroupName=names.iam_group(slug), PolicyArn=arn)
    for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=arn)


def test_a_further_storage_stack_is_deployed_checked_repaired_and_loses_a_retired_bucket_as_the_first_one(running: Running) -> None:
    control, s3, name, bucket = running.control, running.cloud.root("s3"), "Cohort-Storage-2", "cohort-engine-further"

    def stack() -> Row:
        return next(stack for stack in control.dump()["stacks"] if stack["name"] == name)

    def ended() -> Row:
        dump = control.until(lambda dump: not dump["open"])
        last: Row = [deployment for deployment in dump["deployments"] if deployment["stack"] == name][-1]
        assert last["state"] == "succeeded", last
        return last

    def drifted() -> str:
        control.do("check_stack", name=name)
        control.until(lambda _: stack()["drift_state"] not in ("checking", "unknown"))
        return stack()["drift_state"]  # type: ignore[no-any-return]

    first = running.cloud.root("cloudformation").describe_stacks(StackName="Cohort-Storage")["Stacks"][0]
    control.do("further_analysis", slug="further", bucket=bucket)
    assert (ended()["status"], stack()["deployed_generation"], drifted()) == ("CREATE_COMPLETE", 1, "in-sync")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert drifted() == "drifted"
    control.do("repair_stack", name=name)
    ended()
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"

    for body in (b"1", b"22"):
        s3.put_object(Bucket=bucket, Key="lab/inputs/a.csv", Body=body)
    s3.create_multipart_upload(Bucket=bucket, Key="lab/inputs/half.bin")
    control.do("retire_analysis", slug="further")
    control.until(lambda _: control.do("retirement_of", slug="further")["state"] == "done")
    told = control.do("retirement_of", slug="further")
    assert (told["objects"], told["bytes"], told["error"]) == (2, 3, "")
    assert bucket not in {item["Name"] for item in s3.list_buckets()["Buckets"]}
    assert (ended()["status"], drifted()) == ("UPDATE_COMPLETE", "in-sync")
    assert running.cloud.root("cloudformation").describe_stacks(StackName="Cohort-Storage")["Stacks"][0] == first

"""What of a live stack of the predecessor would be adopted, what is refused and why; and steps that were killed half-way."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from control_plane.access.groups.models import Analysis
from control_plane.access.groups.services.platform_stack import platform_stack
from control_plane.accounts.models import User
from control_plane.base.aws import Place
from control_plane.neurocaas_import import adopt, adopt_steps
from control_plane.neurocaas_import.adopt_aws import Aws, NotAdopted
from control_plane.neurocaas_import.adopt_inspect import AdoptChoices, OldGroup, OldStack, inspect_stack
from control_plane.neurocaas_import.adopt_people import Directory, read_directory
from control_plane.neurocaas_import.models import Adoption
from local_aws.server import EmbeddedAws, free_port
from tests.actors import OPERATOR
from tests.factories import GroupFactory, MembershipFactory, settle
from tests.local_aws.helpers import ACCOUNT, S3_ONLY, client, deploy, works
from tests.predecessor import template

pytestmark = pytest.mark.django_db

BUCKET = "cohort-legacy"
ADA = Directory(profile={("oldlab", "ada"): "ada@example.org"})
TOPIC = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "left"}}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def aws(running: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    """With the operator's rights, and nothing in it but the boundary."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCOUNT)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "root")
    yield running
    _empty(running)


@pytest.fixture(autouse=True)
def analysis(db: None) -> Analysis:
    stack = platform_stack()
    return Analysis.objects.create(slug="legacy", name="Legacy", bucket=BUCKET, stack=stack, added_generation=1)


def deployed(aws: EmbeddedAws, *groups: Any, **further: Any) -> None:
    document = template(*(groups or (("oldlab", ["ada"], [BUCKET]),)), further=further)
    deploy(aws, "old", document["Resources"], document["Outputs"])


def looked(people: Directory = ADA, **wishes: Any) -> OldStack:
    return inspect_stack(Aws(Place.of_site()), "old", AdoptChoices(people=people, **wishes))


def the_group(people: Directory = ADA, **wishes: Any) -> OldGroup:
    (group,) = looked(people, **wishes).groups
    return group


def test_a_group_is_adopted_with_its_people_keys_and_analyses(aws: EmbeddedAws) -> None:
    deployed(aws, **TOPIC)
    old = looked()
    (group,) = old.groups
    (user,) = group.users
    (key,) = client(aws, "iam").list_access_keys(UserName="adaus-east-1")["AccessKeyMetadata"]
    assert group.refusals == []
    assert (group.slug, group.s3_access.buckets, group.strangers) == ("oldlab", {BUCKET: True}, [])
    assert (user.name, user.email, user.key_id) == ("adaus-east-1", "ada@example.org", key["AccessKeyId"])
    assert set(group.resources) == {"oldlabusergroup", "oldlabuserada", "userkeyada", "oldlabaddition"}
    assert old.left == [("Topic", "AWS::SNS::Topic")]
    assert old.secrets_shown == ["SecretAccessKeyada"]


def test_a_user_without_an_address_is_refused_with_what_to_do(aws: EmbeddedAws) -> None:
    deployed(aws)
    (refusal,) = the_group(Directory()).refusals
    assert "nobody's address is known" in refusal
    assert "--emails" in refusal


def test_a_user_with_two_keys_is_refused(aws: EmbeddedAws) -> None:
    deployed(aws)
    client(aws, "iam").create_access_key(UserName="adaus-east-1")
    (refusal,) = the_group().refusals
    assert "two keys already" in refusal


def test_a_user_with_more_than_the_stack_gave_is_refused(aws: EmbeddedAws) -> None:
    deployed(aws)
    iam = client(aws, "iam")
    iam.put_user_policy(UserName="adaus-east-1", PolicyName="more", PolicyDocument=json.dumps(S3_ONLY))
    assert ["has policies of its own, more" in refusal for refusal in the_group().refusals] == [True]


def test_a_missing_key_and_a_strange_one_are_told(aws: EmbeddedAws) -> None:
    deployed(aws)
    iam = client(aws, "iam")
    (key,) = iam.list_access_keys(UserName="adaus-east-1")["AccessKeyMetadata"]
    iam.delete_access_key(UserName="adaus-east-1", AccessKeyId=key["AccessKeyId"])
    assert the_group().users[0].notes == ["has no key; gets a new one"]
    iam.create_access_key(UserName="adaus-east-1")
    assert "its key is not the stack's; it is taken over all the same" in the_group().users[0].notes


def test_a_group_that_was_removed_by_hand_is_refused(aws: EmbeddedAws) -> None:
    deployed(aws)
    iam = client(aws, "iam")
    iam.remove_user_from_group(GroupName="oldlabusercentricgroup", UserName="adaus-east-1")
    assert "none of the stack's users is in it" in the_group().refusals
    iam.delete_group(GroupName="oldlabusercentricgroup")
    assert "not there any more" in the_group().refusals[0]


def test_access_that_cohort_would_not_give_is_refused_unless_it_may_be_lost(aws: EmbeddedAws) -> None:
    deployed(aws, ("oldlab", ["ada"], [BUCKET, "elsewhere"]))
    (refusal,) = the_group().refusals
    assert "arn:aws:s3:::elsewhere/oldlab/*" in refusal
    assert "--may-lose" in refusal
    accepted = the_group(may_lose=True)
    assert accepted.refusals == []
    assert len(accepted.s3_access.losses) == 2


def test_listing_a_whole_bucket_is_a_loss(aws: EmbeddedAws) -> None:
    deployed(aws)
    statement = {"Effect": "Allow", "Action": ["s3:List*"], "Resource": f"arn:aws:s3:::{BUCKET}"}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    client(aws, "iam").put_group_policy(GroupName="oldlabusercentricgroup", PolicyName="oldlabpolicy", PolicyDocument=document)
    assert f"the list of all of {BUCKET}" in the_group().refusals[0]


def test_an_own_slug_means_another_folder_and_so_a_loss(aws: EmbeddedAws) -> None:
    deployed(aws)
    assert "cohort-legacy/oldlab/*" in the_group(slugs={"oldlab": "new-lab"}).refusals[0]


def test_who_is_a_member_already_is_refused(aws: EmbeddedAws, ada: User) -> None:
    deployed(aws)
    group = GroupFactory.create(slug="oldlab")
    MembershipFactory.create(group=group, user=ada)
    (refusal,) = the_group().refusals
    assert "member remove oldlab ada@example.org" in refusal


def test_a_protected_stack_is_refused_only_if_nothing_would_remain(aws: EmbeddedAws) -> None:
    deployed(aws)
    protect = client(aws, "cloudformation").update_termination_protection
    protect(StackName="old", EnableTerminationProtection=True)
    assert "protected against deletion" in the_group().refusals[0]
    deployed(aws, **TOPIC)
    assert the_group().refusals == []


def test_what_stays_and_cannot_be_parted_from_the_group_is_refused(aws: EmbeddedAws) -> None:
    named = {"TopicName": "t", "DisplayName": {"Fn::GetAtt": ["oldlabuserada", "Arn"]}}
    deployed(aws, Topic={"Type": "AWS::SNS::Topic", "Properties": named})
    assert "refers to oldlabuserada" in the_group().refusals[0]


def test_a_stack_that_is_not_there_or_ours_is_refused(aws: EmbeddedAws) -> None:
    for name, said in (("nowhere", "There is no stack"), ("Group-x", "no stack of the predecessor")):
        if name.startswith("Group"):
            deploy(aws, name, TOPIC)
        with pytest.raises(NotAdopted, match=said):
            inspect_stack(Aws(Place.of_site()), name, AdoptChoices())


def test_a_stack_that_cannot_be_changed_is_refused(aws: EmbeddedAws) -> None:
    taken = {"A": {"Type": "AWS::IAM::Group", "Properties": {"GroupName": "same"}}}
    deploy(aws, "rolled", taken | {"B": taken["A"] | {"DependsOn": "A"}})
    with pytest.raises(NotAdopted, match="ROLLBACK_COMPLETE, which CloudFormation does not change"):
        inspect_stack(Aws(Place.of_site()), "rolled", AdoptChoices())


def test_a_group_that_is_not_in_the_stack_is_named(aws: EmbeddedAws) -> None:
    deployed(aws)
    with pytest.raises(NotAdopted, match="holds no group other"):
        looked(groups=("other",))


def test_an_identity_of_another_account_is_refused(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "999988887777")
    with pytest.raises(NotAdopted, match="belongs to the account 999988887777"):
        Aws(Place.of_site()).check_account()


def test_addresses_come_from_a_profile_and_a_file(tmp_path: Any) -> None:
    emails = tmp_path / "emails.csv"
    emails.write_text("username,email\nada,other@example.org\n")
    profile = tmp_path / "profile"
    profile.mkdir()
    names, emails_of = ["ada", "ben1597000002"], ["ada@example.org", "ben@example.org"]
    affiliate = {"AffiliateName": "oldlab", "UserNames": names, "ContactEmail": emails_of}
    (profile / "user_config_template.json").write_text(json.dumps({"UXData": {"Affiliates": [affiliate]}}))
    people = read_directory(profile, None)
    assert people.find("oldlab", "ada") == "ada@example.org"
    assert people.find("oldlab", "ben1597000002") == "ben@example.org"
    assert people.find("otherlab", "ada") == ""
    assert people.find("otherlab", "fay@example.org") == "fay@example.org"
    assert read_directory(profile, emails).find("oldlab", "ada") == "other@example.org"


def begun(old: OldStack) -> Adoption:
    """As after the first step, with our group in force."""
    adoption = adopt_steps.begin(old, old.groups[0], OPERATOR)
    settle(adoption.group.stack)
    return adoption


def work() -> adopt_steps.Work:
    return adopt_steps.Work(Aws(Place.of_site()), OPERATOR, lambda line: None, 0)


def test_letting_go_goes_on_where_it_was_killed_between_keeping_and_leaving(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(aws)
    (output,) = [item for item in _outputs(aws) if item["OutputKey"].startswith("Secret")]
    (key,) = client(aws, "iam").list_access_keys(UserName="adaus-east-1")["AccessKeyMetadata"]
    adoption = begun(looked())
    with monkeypatch.context() as killing:
        killing.setattr(Aws, "delete", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            adopt_steps.release_resources(work(), adoption)
    assert [item["OutputKey"] for item in _outputs(aws)] == ["AccessKeyada"]
    adopt_steps.release_resources(work(), adoption)
    adopt_steps.release_resources(work(), adoption)
    assert client(aws, "cloudformation").describe_stacks()["Stacks"] == []
    assert works(aws, (key["AccessKeyId"], output["OutputValue"]))
    members = client(aws, "iam").get_group(GroupName="oldlabusercentricgroup")["Users"]
    assert [member["UserName"] for member in members] == ["adaus-east-1"]


def test_moving_goes_on_where_it_was_killed_and_never_takes_another_user_of_that_name(aws: EmbeddedAws) -> None:
    deployed(aws)
    adoption = begun(looked())
    _boundary(aws)
    adopt_steps.release_resources(work(), adoption)
    adopt_steps.rename_users(work(), adoption)
    # A second run, with somebody else's new user of the old name there.
    client(aws, "iam").create_user(UserName="adaus-east-1")
    adopt_steps.rename_users(work(), adoption)
    (one,) = client(aws, "iam").list_users(PathPrefix="/cohort/oldlab/")["Users"]
    assert one["UserId"] == adoption.people[0]["unique_id"]
    assert client(aws, "iam").get_user(UserName="adaus-east-1")["User"]["Path"] == "/"


def test_a_user_that_is_gone_stops_the_adoption(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control_plane.neurocaas_import.adopt_aws.CONSISTENT_SECONDS", 0)
    deployed(aws)
    adoption = begun(looked())
    adoption.people[0]["unique_id"] = "AIDAOTHER"
    with pytest.raises(NotAdopted, match="was it removed"):
        adopt_steps.rename_users(work(), adoption)


def test_the_old_group_stays_until_ours_is_in_force(aws: EmbeddedAws) -> None:
    deployed(aws)
    adoption = begun(looked())
    _boundary(aws)
    adopt_steps.release_resources(work(), adoption)
    adopt_steps.rename_users(work(), adoption)
    with pytest.raises(NotAdopted, match="not in our IAM group yet"):
        adopt_steps.close_old_group(work(), adoption)
    assert client(aws, "iam").get_group(GroupName="oldlabusercentricgroup")["Users"]


def test_a_stack_that_was_adopted_has_nothing_left_to_do(aws: EmbeddedAws) -> None:
    group = GroupFactory.create(slug="oldlab")
    at = {"stack_name": "gone", "stack_id": "arn", "region": "us-east-1", "old_group": "x", "finished_at": "2026-11-24T00:00Z"}
    Adoption.objects.create(group=group, resources={}, people=[], **at)
    assert adopt.find_adoptable(Aws(Place.of_site()), "gone", AdoptChoices()) is None


def _outputs(aws: EmbeddedAws) -> list[dict[str, str]]:
    outputs: list[dict[str, str]] = client(aws, "cloudformation").describe_stacks(StackName="old")["Stacks"][0]["Outputs"]
    return outputs


def _boundary(aws: EmbeddedAws) -> None:
    iam = client(aws, "iam")
    if "cohort-boundary" not in {policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"]}:
        iam.create_policy(PolicyName="cohort-boundary", PolicyDocument=json.dumps(S3_ONLY))


def _empty(aws: EmbeddedAws) -> None:
    """Remove whatever a test left, stacks before what they do not hold."""
    cloudformation, iam = client(aws, "cloudformation"), client(aws, "iam")
    for user in iam.list_users()["Users"]:
        name = user["UserName"]
        for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
            iam.delete_user_policy(UserName=name, PolicyName=policy)
        for group in iam.list_groups_for_user(UserName=name)["Groups"]:
            iam.remove_user_from_group(GroupName=group["GroupName"], UserName=name)
    for stack in cloudformation.describe_stacks()["Stacks"]:
        cloudformation.update_termination_protection(StackName=stack["StackName"], EnableTerminationProtection=False)
        cloudformation.delete_stack(StackName=stack["StackName"])
    while cloudformation.describe_stacks()["Stacks"]:
        time.sleep(0.01)
    for user in iam.list_users()["Users"]:
        iam.delete_user(UserName=user["UserName"])
    for group in iam.list_groups()["Groups"]:
        iam.delete_group(GroupName=group["GroupName"])

"""Who is suspended is refused at once, told why, and nothing of it stays on AWS once it is lifted."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import boto3
import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse
from django_tasks_db.models import DBTaskResult
from moto import mock_aws

from control_plane.access.groups.errors import LastManager, NotMember, NotSuspended, Suspended
from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.permissions import manages
from control_plane.access.groups.services.credentials import find_membership
from control_plane.access.groups.services.members import leave, remove_member
from control_plane.access.groups.services.suspension import resume_group, resume_members, suspend_group, suspend_members
from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.lockout import clear_stale_denials, deny
from control_plane.deployments.lockout_requests import deny_pending
from control_plane.deployments.models import Deployment, StoredManifest
from control_plane.deployments.plans import people_changes
from control_plane.deployments.tasks import URGENT, deny_now
from control_plane.research.storage.group_folder import find_group_folder
from tests.actors import OPERATOR, actor_of, client_of
from tests.control_plane.fakes import configure
from tests.factories import AnalysisFactory, GrantFactory, MembershipFactory, settle
from web.deployments.plan_table import shown_plan

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def iam() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("iam")


@pytest.fixture
def holder(group: Group, ada: User, iam: Any) -> User:
    """A member with a key, and the principals as the group's stack makes them."""
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    iam.create_user(UserName=iam_name(ada), Path="/cohort/example-lab/")
    iam.create_access_key(UserName=iam_name(ada))
    iam.create_group(GroupName="cohort-example-lab", Path="/cohort/example-lab/")
    iam.create_role(RoleName="cohort-example-lab", Path="/cohort/example-lab/", AssumeRolePolicyDocument="{}")
    return ada


def iam_name(user: User) -> str:
    return f"cohort-example-lab-{Membership.objects.filter(user=user).latest('pk').username}"


def denied(iam: Any, user: User) -> set[str]:
    """Which principals carry a denial."""
    found = set()
    if iam.list_user_policies(UserName=iam_name(user))["PolicyNames"]:
        found.add("user")
    if iam.list_group_policies(GroupName="cohort-example-lab")["PolicyNames"]:
        found.add("group")
    if iam.list_role_policies(RoleName="cohort-example-lab")["PolicyNames"]:
        found.add("role")
    return found


def urgent() -> int:
    return DBTaskResult.objects.filter(queue_name=URGENT, task_path=deny_now.module_path).count()


def test_credentials_and_files_are_refused_as_soon_as_the_change_is_there(group: Group, ada: User) -> None:
    analysis = AnalysisFactory.create(slug="ephys", name="Ephys", bucket="cohort-ephys")
    GrantFactory.create(group=group, analysis=analysis)
    MembershipFactory.create(group=group, user=ada, deployed=True)
    settle(analysis.stack)
    find_group_folder(group_slug="example-lab", analysis_slug="ephys", user=ada)
    suspend_members(group=group, users=[ada], actor=OPERATOR)
    for ask in (
        lambda: find_membership(group, ada),
        lambda: find_group_folder(group_slug="example-lab", analysis_slug="ephys", user=ada),
    ):
        with pytest.raises(Suspended, match="suspended since"):
            ask()
    page = client_of(ada).get(reverse("files:page", args=("example-lab", "ephys")))
    assert page.status_code == 403
    assert "suspended since" in page.content.decode()
    resume_members(group=group, users=[ada], actor=OPERATOR)
    settle(group.stack)
    suspend_group(group=group, actor=OPERATOR)
    with pytest.raises(Suspended, match="The group Example Lab is suspended"):
        find_membership(Group.objects.get(), ada)
    resume_group(group=group, actor=OPERATOR)
    assert find_membership(Group.objects.get(), ada).user == ada


def test_many_members_are_one_deployment_and_each_is_audited(group: Group, ada: User, grace: User) -> None:
    for user in (ada, grace):
        MembershipFactory.create(group=group, user=user, deployed=True)
    deployment = suspend_members(group=group, users=[ada, grace], actor=OPERATOR)
    events = AuditEvent.objects.filter(action="member.suspend")
    assert {event.target for event in events} == {"ada@example.org in example-lab", "grace@example.org in example-lab"}
    manifest = json.loads(StoredManifest.objects.get(stack=group.stack, generation=deployment.generation).text)
    assert [member["suspended"] for member in manifest["members"]] == [True, True]
    assert urgent() == 1


def test_what_makes_no_sense_is_refused_and_changes_nothing(group: Group, ada: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    generation = group.stack.generation
    tries: tuple[tuple[type[Exception], Callable[[], object]], ...] = (
        (NotMember, lambda: suspend_members(group=group, users=[ada, grace], actor=OPERATOR)),
        (NotSuspended, lambda: resume_members(group=group, users=[ada], actor=OPERATOR)),
        (NotSuspended, lambda: resume_group(group=group, actor=OPERATOR)),
    )
    for refusal, call in tries:
        with pytest.raises(refusal, match="Nothing was changed"):
            call()
    group.stack.refresh_from_db()
    assert group.stack.generation == generation


def test_managers_suspend_members_but_neither_themselves_nor_the_group(group: Group, ada: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=ada, manager=True, deployed=True)
    MembershipFactory.create(group=group, user=grace, deployed=True)
    manager = actor_of(ada)
    suspend_members(group=group, users=[grace], actor=manager)
    with pytest.raises(PermissionDenied, match="yourself"):
        suspend_members(group=group, users=[ada], actor=manager)
    with pytest.raises(PermissionDenied):
        suspend_group(group=group, actor=manager)
    with pytest.raises(PermissionDenied):
        resume_members(group=group, users=[grace], actor=actor_of(grace))


def test_a_suspended_manager_decides_nothing_and_is_not_what_keeps_a_group_managed(group: Group, ada: User, grace: User) -> None:
    for user in (ada, grace):
        MembershipFactory.create(group=group, user=user, manager=True, deployed=True)
    suspend_members(group=group, users=[ada], actor=actor_of(grace))
    assert not manages(ada, group)
    with pytest.raises(PermissionDenied):
        resume_members(group=group, users=[ada], actor=actor_of(ada))
    with pytest.raises(LastManager):
        remove_member(group=group, user=grace, actor=actor_of(grace))


def test_who_is_suspended_signs_in_sees_why_and_leaves(group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    suspend_members(group=group, users=[ada], actor=OPERATOR)
    settle(group.stack)
    client = client_of(ada)
    for page in (reverse("home"), group.get_absolute_url(), reverse("credentials:page", args=("example-lab",)), reverse("profile")):
        assert "suspended" in client.get(page).content.decode().lower(), page
    assert "Suspend the group" not in client.get(group.get_absolute_url()).content.decode()
    leave(group=group, user=ada, actor=actor_of(ada))
    assert not Membership.objects.wanted().filter(user=ada).exists()


def test_managers_do_it_on_the_member_s_page_and_administrators_the_group_s(
    group: Group, ada: User, grace: User, administrator: User
) -> None:
    MembershipFactory.create(group=group, user=ada, manager=True, deployed=True)
    MembershipFactory.create(group=group, user=grace, deployed=True)
    mine = Membership.objects.get(user=grace)
    address = reverse("member_suspend", args=("example-lab", mine.pk))
    client = client_of(ada)
    client.post(address, {"wish": "suspend"})
    mine.refresh_from_db()
    assert mine.suspended_at is not None
    assert "⊘ suspended" in client.get(group.get_absolute_url()).content.decode()
    client.post(address, {"wish": "resume"})
    mine.refresh_from_db()
    assert mine.suspended_at is None
    assert client_of(grace).post(address, {"wish": "suspend"}).status_code == 403
    assert client.post(reverse("group_suspend", args=("example-lab",)), {"wish": "suspend"}).status_code == 403
    client_of(administrator).post(reverse("group_suspend", args=("example-lab",)), {"wish": "suspend"})
    assert Group.objects.get().suspended_at is not None
    for page in ("admin:accounts_user_changelist", "admin:groups_group_changelist"):
        assert "⊘ " in client_of(administrator).get(reverse(page)).content.decode()


def test_the_terminal_suspends_and_resumes(group: Group, ada: User, capsys: pytest.CaptureFixture[str]) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    call_command("member", "suspend", "example-lab", "ada@example.org", "--json")
    assert json.loads(capsys.readouterr().out)["member"] == {"email": "ada@example.org", "suspended": True}
    call_command("group", "suspend", "example-lab", "--json")
    assert json.loads(capsys.readouterr().out)["group"]["suspended_at"]
    call_command("group", "resume", "example-lab", "--json")
    call_command("member", "resume", "example-lab", "ada@example.org", "--json")
    assert Membership.objects.get(user=ada).suspended_at is None


def test_a_worker_denies_at_once_what_is_there_to_be_denied(group: Group, holder: User, iam: Any) -> None:
    suspend_members(group=group, users=[holder], actor=OPERATOR)
    deny(group.stack.pk)
    assert denied(iam, holder) == {"user", "role"}
    document = iam.get_user_policy(UserName=iam_name(holder), PolicyName="suspended")["PolicyDocument"]
    assert document["Statement"][0]["Effect"] == "Deny"
    suspend_group(group=group, actor=OPERATOR)
    iam.delete_user_policy(UserName=iam_name(holder), PolicyName="suspended")
    iam.delete_role_policy(RoleName="cohort-example-lab", PolicyName="ended-sessions")
    iam.delete_role(RoleName="cohort-example-lab")
    # A principal that is not there needs no denial.
    deny(group.stack.pk)
    assert iam.list_group_policies(GroupName="cohort-example-lab")["PolicyNames"] == ["suspended"]


def test_a_removed_key_is_made_inactive_and_nothing_hinders_the_user_s_removal(group: Group, holder: User, iam: Any) -> None:
    remove_member(group=group, user=holder, actor=OPERATOR)
    assert urgent() == 1
    deny(group.stack.pk)
    keys = iam.list_access_keys(UserName=iam_name(holder))["AccessKeyMetadata"]
    assert [key["Status"] for key in keys] == ["Inactive"]
    assert denied(iam, holder) == {"role"}


def test_the_sweep_denies_again_until_it_is_deployed(group: Group, holder: User) -> None:
    suspend_members(group=group, users=[holder], actor=OPERATOR)
    Deployment.objects.filter(stack=group.stack).update(state=Deployment.State.FAILED)
    DBTaskResult.objects.all().delete()
    deny_pending()
    assert urgent() == 1
    settle(group.stack)
    deny_pending()
    assert urgent() == 1


@pytest.mark.parametrize("then", ["resumed", "removed", "resumed beside another"])
def test_what_no_deployment_carried_out_does_not_stay(group: Group, holder: User, grace: User, iam: Any, then: str) -> None:
    if then == "resumed beside another":
        MembershipFactory.create(group=group, user=grace, deployed=True)
        suspend_members(group=group, users=[grace], actor=OPERATOR)
        deny(group.stack.pk)
        settle(group.stack)
    suspend_members(group=group, users=[holder], actor=OPERATOR)
    suspend_group(group=group, actor=OPERATOR)
    deny(group.stack.pk)
    assert denied(iam, holder) == {"user", "group", "role"}
    resume_group(group=group, actor=OPERATOR)
    if then == "removed":
        deployment = remove_member(group=group, user=holder, actor=OPERATOR)
    else:
        deployment = resume_members(group=group, users=[holder], actor=OPERATOR)
    clear_stale_denials(deployment)
    match then:
        case "resumed":
            assert denied(iam, holder) == set()
        case "removed":
            # The stack's own policy of the role changes, which CloudFormation sees to.
            assert denied(iam, holder) == {"role"}
            assert iam.list_access_keys(UserName=iam_name(holder))["AccessKeyMetadata"][0]["Status"] == "Inactive"
        case _:
            assert denied(iam, holder) == {"role"}
            text = json.dumps(iam.get_role_policy(RoleName="cohort-example-lab", PolicyName="ended-sessions")["PolicyDocument"])
            assert "Suspended" not in text
            assert Membership.objects.get(user=grace).username in text
            assert Membership.objects.get(user=holder).username not in text


def test_somebody_else_s_suspension_lifts_nothing_that_waits_for_approval(
    group: Group, holder: User, grace: User, iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, "lockout", require_approval="broadening")
    MembershipFactory.create(group=group, user=grace, deployed=True)
    suspend_members(group=group, users=[grace], actor=OPERATOR)
    settle(group.stack)
    resume_members(group=group, users=[grace], actor=OPERATOR)
    suspend_members(group=group, users=[holder], actor=OPERATOR)
    deny(group.stack.pk)
    text = json.dumps(iam.get_role_policy(RoleName="cohort-example-lab", PolicyName="ended-sessions")["PolicyDocument"])
    assert {Membership.objects.get(user=user).username in text for user in (grace, holder)} == {True}


def test_the_plan_says_who_is_suspended_and_that_lifting_it_widens(group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    texts = [StoredManifest.objects.filter(stack=group.stack).latest("generation").text]
    changes: tuple[Callable[[], object], ...] = (
        lambda: suspend_members(group=group, users=[ada], actor=OPERATOR),
        lambda: suspend_group(group=group, actor=OPERATOR),
        lambda: resume_members(group=group, users=[ada], actor=OPERATOR),
        lambda: resume_group(group=group, actor=OPERATOR),
    )
    for change in changes:
        change()
        texts.append(StoredManifest.objects.filter(stack=group.stack).latest("generation").text)
    said = []
    for before, after in pairwise(texts):
        people = people_changes(before, after)
        shown = shown_plan({"people": [vars(person) for person in people]})
        said += [(row.name, row.what, row.widens) for section in shown.sections for row in section.rows]
    assert said == [
        ("ada@example.org", "is suspended: everything is denied (short-lived credentials)", False),
        ("the group example-lab", "is suspended: everything is denied", False),
        ("ada@example.org", "is no longer suspended (short-lived credentials)", True),
        ("the group example-lab", "is no longer suspended", True),
    ]


def test_the_administration_suspends_and_resumes(group: Group, ada: User, grace: User, administrator: User) -> None:
    for user in (ada, grace):
        MembershipFactory.create(group=group, user=user, deployed=True)
    client = client_of(administrator)
    chosen = f"?id={ada.pk}&id={grace.pk}"
    for wish, is_suspended in (("suspend", True), ("resume", False)):
        address = reverse(f"admin:accounts_user_{wish}") + chosen
        assert "everything" in client.get(address).content.decode().lower() or not is_suspended
        assert client.post(address, {"group": group.pk}).status_code == 302
        assert {membership.suspended_at is not None for membership in Membership.objects.all()} == {is_suspended}
        page = reverse("admin:groups_group_suspend_page", args=(group.pk,))
        assert client.post(page, {"csrfmiddlewaretoken": "x"}).status_code == 302
        assert (Group.objects.get().suspended_at is not None) is is_suspended
    assert client_of(ada).post(reverse("admin:groups_group_suspend_page", args=(group.pk,))).status_code in (302, 403)
    assert Group.objects.get().suspended_at is None

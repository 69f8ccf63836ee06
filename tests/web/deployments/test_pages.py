"""The deployments' and stacks' pages: what each state shows, what each button does, and who may press it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from control_plane.access.groups.models import Access, Group
from control_plane.access.groups.services.access_method import change_access
from control_plane.access.groups.services.members import remove_member
from control_plane.access.groups.services.suspension import suspend_group
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.lockout_words import describe_active_lockout
from control_plane.deployments.models import Deployment, DriftState, Stack
from control_plane.deployments.requests import deploy_again
from tests.factories import GroupFactory, JoiningDeploymentFactory, MembershipFactory, UserFactory, mark_drifted, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(administrator: User) -> Client:
    signed_in = Client()
    signed_in.force_login(administrator)
    return signed_in


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def test_a_running_deployment_shows_its_resources_and_the_time(client: Client, group: Group, ada: User) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, running=True)
    earlier = timezone.now() - timedelta(hours=1)
    Deployment.objects.filter(state="succeeded").update(started_at=earlier, finished_at=earlier + timedelta(seconds=12))
    page = text(client, deployment.get_absolute_url())
    assert '<span id="headline">Giving ada@example.org access to Example Lab</span>' in page
    assert 'max="3" value="1"' in page
    assert "1 of 3 resources" in page
    assert "added: under way" in page
    assert "changed: done, 4 s" in page
    assert "such runs usually take 12 s" in page
    assert "Working out what changes" in page
    assert "covers generation 2" in page
    assert "Cancel this deployment" in page
    assert "Deploy again" not in page.replace("“Deploy again”", "")


def test_a_failed_deployment_names_the_resource_and_can_be_repeated(client: Client, group: Group, ada: User) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, failed=True)
    page = text(client, deployment.get_absolute_url())
    assert "CloudFormation could not make the user." in page
    assert "The user name is taken." in page
    assert "AWS holds what it held before" in page
    assert "2 tries" in page
    assert f'action="/deployments/{deployment.pk}/retry/"' in page
    assert "Cancel" not in page


def test_what_earlier_runs_did_not_bring_is_covered_too(
    client: Client, group: Group, ada: User, grace: User, operator: Actor
) -> None:
    MembershipFactory.create(group=group, user=grace, keys=True)
    first = JoiningDeploymentFactory.create(group=group, user=ada, failed=True)
    again = deploy_again(first, actor=operator)
    page = text(client, again.get_absolute_url())
    assert "Deploying Example Lab again" in page
    assert "Giving ada@example.org access to Example Lab" in page
    assert "grace@example.org" not in page


def test_a_further_try_says_when_and_why(client: Client, group: Group, ada: User) -> None:
    deployment = JoiningDeploymentFactory.create(
        group=group, user=ada, attempts=1, not_before=timezone.now() + timedelta(seconds=60), error="AWS is too busy."
    )
    page = text(client, deployment.get_absolute_url())
    assert "Try 2 of 6 in" in page
    assert "AWS is too busy." in page


def test_a_superseded_deployment_links_to_the_later_one(client: Client, group: Group, ada: User, operator: Actor) -> None:
    first = JoiningDeploymentFactory.create(group=group, user=ada, failed=True)
    later = deploy_again(first, actor=operator)
    Deployment.objects.filter(pk=first.pk).update(state=Deployment.State.SUPERSEDED, superseded_by=later)
    page = text(client, first.get_absolute_url())
    assert f'<a href="{later.get_absolute_url()}">deployment {later.pk}</a>' in page
    assert "went on in a later one" in page


def test_the_live_answer_sends_the_buttons_only_when_they_change(client: Client, group: Group, ada: User) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, running=True)
    address = f"{deployment.get_absolute_url()}live/?after=0"
    assert 'id="decisions"' not in text(client, f"{address}&seen=running.2.0.0.0.0")
    changed = text(client, f"{address}&seen=queued.2.0.0.0.0")
    assert '<section id="decisions" hx-swap-oob="true">' in changed
    assert "under way</p>" in changed


def test_a_live_answer_asks_no_more_for_many_changes(client: Client, group: Group, ada: User, grace: User) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada)
    address = f"{deployment.get_absolute_url()}live/"
    few = queries(client, address)
    for number in range(10):
        user = UserFactory.create(email=f"p{number}@example.org")
        MembershipFactory.create(group=group, user=user)
    assert queries(client, address) <= few


def test_an_approver_sees_the_plan_and_approves_it(client: Client, group: Group, ada: User) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, planned=True)
    page = text(client, deployment.get_absolute_url())
    assert 'hx-trigger="every 5s"' in page
    assert "Lets somebody do more on AWS than now." in page
    assert "<strong>ada@example.org</strong> gets access" in page
    assert page.count("▲ lets somebody do more") == 3
    assert "1 added, 1 changed, 1 made anew, 1 removed" in page
    assert '<input type="hidden" name="generation" value="2">' in page
    client.post(f"/deployments/{deployment.pk}/approve/", {"generation": "2"})
    deployment.refresh_from_db()
    assert (deployment.state, deployment.approved_by) == ("queued", "admin@example.org")


@pytest.mark.parametrize("generation", ["1", "", "nonsense"])
def test_a_plan_that_is_no_longer_the_plan_is_not_approved(client: Client, group: Group, ada: User, generation: str) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, planned=True)
    answer = client.post(f"/deployments/{deployment.pk}/approve/", {"generation": generation}, follow=True)
    assert "look at the plan again" in answer.content.decode()
    deployment.refresh_from_db()
    assert deployment.state == "approval"


def test_who_asked_sees_why_they_cannot_approve(client: Client, group: Group, ada: User, administrator: User) -> None:
    asker = Actor(label=administrator.email, channel="web", user=administrator)
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, actor=asker, planned=True)
    page = text(client, deployment.get_absolute_url())
    assert "another administrator has to decide" in page
    assert 'name="generation"' not in page
    answer = client.post(f"/deployments/{deployment.pk}/approve/", {"generation": "2"}, follow=True)
    assert "another administrator has to decide" in answer.content.decode()
    deployment.refresh_from_db()
    assert deployment.state == "approval"


def test_a_refusal_keeps_its_reason(client: Client, group: Group, ada: User) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, planned=True)
    answer = client.post(f"/deployments/{deployment.pk}/reject/", {"reason": " Not  now "}, follow=True)
    assert "Not approved by admin@example.org: Not now" in answer.content.decode()


def test_cancelling_ends_what_waits_and_asks_what_runs(client: Client, group: Group, ada: User, grace: User) -> None:
    waiting = JoiningDeploymentFactory.create(group=group, user=ada)
    assert "It is cancelled" in client.post(f"/deployments/{waiting.pk}/cancel/", follow=True).content.decode()
    going = JoiningDeploymentFactory.create(group=group, user=grace, running=True)
    page = client.post(f"/deployments/{going.pk}/cancel/", follow=True).content.decode()
    assert "admin@example.org asked to cancel it" in page
    assert "Cancel this deployment" not in page
    assert AuditEvent.objects.filter(action="deployment.cancel").count() == 2


def test_the_list_is_filtered_by_group_person_and_state(client: Client, group: Group, ada: User) -> None:
    GroupFactory.create(slug="other-lab")
    JoiningDeploymentFactory.create(group=group, user=ada, failed=True)
    assert "Group-other-lab" not in text(client, "/deployments/?group=example-lab")
    assert "Group-example-lab" not in text(client, "/deployments/?group=Group-other-lab")
    by_person = text(client, "/deployments/?person=ada@")
    assert "Giving ada@example.org" in by_person
    assert "Group-other-lab" not in by_person
    assert "No deployment fits" in text(client, "/deployments/?person=ada@&state=running")


def test_what_failed_is_deployed_again_after_a_word_of_how_many(client: Client, group: Group, ada: User) -> None:
    JoiningDeploymentFactory.create(group=group, user=ada, failed=True)
    assert "/deployments/retry/" in text(client, "/deployments/")
    assert "1 stack does not hold what is wanted" in text(client, "/deployments/retry/")
    assert Deployment.objects.filter(state="queued").count() == 0
    assert "has started for 1 stack." in client.post("/deployments/retry/", follow=True).content.decode()
    assert Deployment.objects.filter(state="queued").count() == 1
    assert "Nothing is left" in text(client, "/deployments/retry/")
    assert "Deploy again what failed" not in text(client, "/deployments/")


def test_a_stack_s_page_shows_what_differs_as_text(client: Client, group: Group) -> None:
    settle(group.stack)
    mark_drifted(group.stack)
    for path in ("/deployments/stacks/Group-example-lab/", "/groups/example-lab/"):
        page = text(client, path)
        assert "changed outside Cohort" in page
        assert "/Policies/0" in page
        assert "&lt;b&gt;everything" in page
        assert "was removed" in page
        assert "Repair Example Lab" in page


def test_a_member_sees_nothing_of_the_stack(group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada)
    mark_drifted(group.stack)
    member = Client()
    member.force_login(ada)
    assert "On AWS" not in text(member, "/groups/example-lab/")


def test_a_check_is_asked_for_and_followed(client: Client, group: Group) -> None:
    answer = client.post(f"/deployments/stacks/{group.stack_id}/check/", {"back": "group"}, follow=True)
    assert answer.redirect_chain[-1][0] == "/groups/example-lab/"
    page = answer.content.decode()
    assert f'hx-get="/deployments/stacks/{group.stack_id}/live/?back=group"' in page
    Stack.objects.update(drift_state=DriftState.IN_SYNC)
    live = text(client, f"/deployments/stacks/{group.stack_id}/live/?back=group")
    assert "✓ as deployed" in live
    assert "hx-get" not in live
    assert AuditEvent.objects.filter(action="stack.check").exists()


def test_a_repair_is_a_deployment_and_not_started_twice(client: Client, group: Group) -> None:
    settle(group.stack)
    mark_drifted(group.stack)
    address = f"/deployments/stacks/{group.stack_id}/repair/"
    assert "Repairing Example Lab" in client.post(address, follow=True).content.decode()
    assert Deployment.objects.get(state="queued").revert_drift
    assert "on its way already" in client.post(address, follow=True).content.decode()


def test_stacks_that_need_a_look_come_first(client: Client, group: Group) -> None:
    settle(group.stack)
    for slug in ("a-lab", "b-lab"):
        GroupFactory.create(slug=slug, deployed=True)
    mark_drifted(Stack.objects.get(name="Group-b-lab"))
    Stack.objects.filter(name="Group-example-lab").update(generation=5)
    page = text(client, "/deployments/stacks/")
    order = [page.index(f"stacks/Group-{slug}/") for slug in ("b-lab", "example-lab", "a-lab")]
    assert order == sorted(order)
    assert "Group-a-lab" not in text(client, "/deployments/stacks/?q=b-lab")


def test_the_list_of_stacks_asks_no_more_for_many(client: Client, group: Group) -> None:
    few = queries(client, "/deployments/stacks/")
    for number in range(10):
        GroupFactory.create(slug=f"lab-{number}")
    assert queries(client, "/deployments/stacks/") <= few


@pytest.mark.parametrize(
    "path", ["1/cancel/", "1/approve/", "1/reject/", "1/retry/", "retry/", "stacks/1/check/", "stacks/1/repair/"]
)
def test_buttons_are_for_administrators_and_post_alone(
    client: Client, administrator: User, group: Group, ada: User, path: str
) -> None:
    member, forged = Client(), Client(enforce_csrf_checks=True)
    member.force_login(ada)
    forged.force_login(administrator)
    assert member.post(f"/deployments/{path}").status_code == 403
    assert forged.post(f"/deployments/{path}").status_code == 403
    if path != "retry/":
        assert client.get(f"/deployments/{path}").status_code == 405
    assert Deployment.objects.get().state == "queued"


@pytest.mark.parametrize("path", ["retry/", "stacks/", "stacks/Group-example-lab/", "stacks/1/live/"])
def test_pages_are_for_administrators(group: Group, ada: User, path: str) -> None:
    member = Client()
    member.force_login(ada)
    assert member.get(f"/deployments/{path}").status_code == 403
    assert "/accounts/login/" in Client().get(f"/deployments/{path}", follow=True).redirect_chain[-1][0]


def test_what_the_lockout_has_done_already_is_said_wherever_a_deployment_waits(
    client: Client, group: Group, ada: User, grace: User, operator: Actor
) -> None:
    """The lockout acts ahead of the deployment: "AWS is as it was" would be untrue."""
    MembershipFactory.create(group=group, user=grace, deployed=True)
    deployment = remove_member(group=group, user=grace, actor=operator)
    MembershipFactory.create(group=group, user=ada, keys=True)
    Deployment.objects.filter(pk=deployment.pk).update(state="approval", plan={"permissions": "broadening"})
    page = text(client, deployment.get_absolute_url())
    assert "Active within seconds, ahead of the deployment: everything is denied to grace@example.org." in page
    seen = page.partition("seen=")[2].partition('"')[0]
    at = timezone.now()
    Stack.objects.filter(pk=group.stack.pk).update(denied_generation=F("generation"), denied_at=at)
    told = f"Already active since {at:%H:%M:%S} UTC, ahead of the deployment: everything is denied to grace@example.org."
    live = text(client, f"{deployment.get_absolute_url()}live/?after=0&seen={seen}")
    assert live.count(f"{told} Nothing else was changed on AWS.") == 3, "beside the state, beside Refuse and beside Cancel"
    refused = client.post(f"{deployment.get_absolute_url()}reject/", follow=True).content.decode()
    assert f"Refused. {told} Nothing else was changed on AWS." in refused


def test_where_no_lockout_acts_nothing_was_changed_on_aws(client: Client, group: Group, ada: User) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, planned=True)
    assert "has to look at it first. Nothing was changed on AWS." in text(client, deployment.get_absolute_url())


def test_a_key_that_the_lockout_stopped_and_a_suspended_group_are_told_too(group: Group, ada: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    change_access(group=group, user=ada, access=Access.FEDERATED, actor=operator)
    stack = Stack.objects.get(pk=group.stack.pk)
    assert "the access key of ada@example.org no longer works." in describe_active_lockout(stack)
    suspend_group(group=group, actor=operator)
    stack.refresh_from_db()
    assert "everything is denied to everybody in example-lab." in describe_active_lockout(stack)
    settle(stack)
    assert describe_active_lockout(stack) == ""

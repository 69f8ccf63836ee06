"""A group that the database knows and that was changed on AWS after the backup is taken over: the people too whom only AWS has."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from control_plane.access.groups.errors import AlreadyMember
from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.groups import request_group_deployment
from control_plane.access.groups.services.keys import rotate_key
from control_plane.access.groups.services.manifests import group_manifest as manifest_of
from control_plane.access.groups.services.members import remove_member
from control_plane.access.groups.services.suspension import suspend_group, suspend_members
from control_plane.access.review import schedule, unmanaged, unmanaged_decisions
from control_plane.access.review.models import Scan, UnmanagedResource
from control_plane.access.review.unmanaged_decisions import NotDecided
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments import aws_ahead
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.requests import deploy_ours
from stacks.manifest import AnalysisGrant, GroupManifest, Member
from tests.actors import OPERATOR
from tests.factories import (
    AnalysisFactory,
    DeploymentFactory,
    GrantFactory,
    MembershipFactory,
    ScanFactory,
    UnmanagedResourceFactory,
    UserFactory,
    settle,
)
from tests.stacks.builders import GRACE, LISE, group_manifest

pytestmark = pytest.mark.django_db
NAME, LISES = "Group-example-lab", "lise@example.org"
# What AWS was brought to after the backup, and the new username in it.
AFTER = 9


def restore(group: Group) -> None:
    """What is in the database now is what a backup had, and AWS was found to hold more."""
    settle(group.stack)
    aws_ahead.mark_restored("default")
    Stack.objects.filter(pk=group.stack_id).update(newer_generation=AFTER)


@pytest.fixture
def people(group: Group, ada: User, grace: User) -> dict[str, Membership]:
    """When the backup was made: Ada and Grace hold keys, Linus gets in without one; the group reads and writes one analysis."""
    ephys, video = (AnalysisFactory.create(slug=name, bucket=f"cohort-{name}") for name in ("ephys", "video"))
    for user, access in ((ada, Access.KEYS), (grace, Access.KEYS), (UserFactory.create(email="linus@example.org"), "federated")):
        MembershipFactory.create(group=group, user=user, access=Access(access))
    GrantFactory.create(group=group, analysis=ephys)
    settle(video.stack)
    restore(group)
    return {membership.user.email.partition("@")[0]: membership for membership in Membership.objects.select_related("user")}


@pytest.fixture
def held(people: dict[str, Membership]) -> GroupManifest:
    """After it Ada's key was replaced, Grace was removed, Lise came, and the group got another analysis instead."""
    members = (
        Member(username=people["ada"].username, access="keys", key_serial=3, previous_key="active"),
        Member(username=people["linus"].username, access="federated"),
        Member(username=LISE, access="keys", key_serial=2, part=1),
    )
    return group_manifest(
        generation=AFTER,
        members=tuple(sorted(members, key=lambda one: one.username)),
        analyses=(AnalysisGrant(bucket="cohort-video", access="read-only"),),
    )


def waiting(held: GroupManifest, *, names_everybody: bool = True) -> UnmanagedResource:
    return UnmanagedResourceFactory.create(
        kind="stack",
        name=NAME,
        region=held.region,
        slug=held.slug,
        generation=held.generation,
        status="UPDATE_COMPLETE",
        manifest=held.to_json(),
        names_everybody=names_everybody,
        read_at=timezone.now(),
    )


def take_over(row: UnmanagedResource, people: dict[str, str]) -> Deployment | None:
    return unmanaged_decisions.take_over(row, confirmation=NAME, people=people, actor=OPERATOR)


def wanted_of(deployment: Deployment | None) -> GroupManifest:
    assert deployment is not None
    return GroupManifest.model_validate_json(deployment.stack.manifests.get(generation=deployment.generation).text)


def test_a_known_group_becomes_what_aws_holds_and_nothing_is_deployed(
    people: dict[str, Membership], held: GroupManifest, group: Group
) -> None:
    row = waiting(held)
    told = " ".join(unmanaged_decisions.preview_take_over(row))
    assert "stay out: grace@example.org." in told
    assert take_over(row, {LISE: LISES}) is None
    group.refresh_from_db()
    stack = group.stack
    assert (stack.generation, stack.deployed_generation, stack.newer_generation, stack.known_generation) == (AFTER, AFTER, 0, None)
    assert not Deployment.objects.open().filter(stack=stack).exists()
    # The sessions that Grace may have are denied as those of anybody who was just removed.
    following = manifest_of(group, AFTER + 1)
    assert following.revoked == (people["grace"].username,)
    assert following.model_copy(update={"revoked": ()}) == held.model_copy(update={"generation": AFTER + 1})
    states = {
        membership.user.email: membership.access_state
        for membership in Membership.objects.filter(group=group).select_related("user", "group__stack")
    }
    assert states == {"ada@example.org": "active", "grace@example.org": "ended", "linus@example.org": "active", LISES: "active"}
    assert AuditEvent.objects.get(action="member.remove").target == "grace@example.org in example-lab"
    taken = AuditEvent.objects.filter(action="member.take_over").values_list("target", flat=True)
    assert set(taken) == {"ada@example.org in example-lab", f"{LISES} in example-lab"}
    assert not UnmanagedResource.objects.exists()


def test_whoever_has_no_address_in_a_known_group_is_removed_too(people: dict[str, Membership], held: GroupManifest) -> None:
    wanted = wanted_of(take_over(waiting(held), {LISE: " "}))
    assert wanted.generation == AFTER + 1
    assert {member.username for member in wanted.members} == {people["ada"].username, people["linus"].username}
    assert wanted.sessions_not_before is not None
    assert AuditEvent.objects.get(action="member.leave_out").details["before"] == {"usernames": [LISE]}


def test_who_was_removed_without_a_key_is_told_of_where_aws_does_not_know_them(
    people: dict[str, Membership], held: GroupManifest, group: Group
) -> None:
    keyed = held.model_copy(
        update={"members": tuple(member for member in held.members if member.access == "keys"), "suspended": True}
    )
    row = waiting(keyed, names_everybody=False)
    assert "does not tell of members without a key (1 here)" in " ".join(unmanaged_decisions.preview_take_over(row))
    take_over(row, {LISE: LISES})
    wanted = set(Membership.objects.wanted().filter(group=group).values_list("username", flat=True))
    assert wanted == {people["ada"].username, people["linus"].username, LISE}
    group.refresh_from_db()
    assert group.suspended_at is not None


def test_a_suspension_is_not_lifted_where_aws_does_not_tell_of_it(group: Group, held: GroupManifest) -> None:
    suspend_group(group=group, actor=OPERATOR)
    restore(group)
    nobody = held.model_copy(update={"members": ()})
    take_over(waiting(nobody, names_everybody=False), {})
    group.refresh_from_db()
    assert group.suspended_at is not None


def test_a_suspension_that_was_lifted_after_the_backup_stays_lifted(group: Group, held: GroupManifest) -> None:
    suspend_group(group=group, actor=OPERATOR)
    restore(group)
    row = waiting(held)
    assert "no longer suspended" in " ".join(unmanaged_decisions.preview_take_over(row))
    assert take_over(row, {LISE: LISES}) is None
    group.refresh_from_db()
    assert group.suspended_at is None


def test_what_was_asked_for_since_the_restore_comes_on_top(
    people: dict[str, Membership], held: GroupManifest, group: Group, ada: User, grace: User
) -> None:
    """Lise's part of the stack stays hers: in another one she would get another key."""
    linus, dora = people["linus"].user, UserFactory.create(email="dora@example.org")
    rotate_key(group=group, user=ada, actor=OPERATOR, overlap=timedelta(0))
    suspend_members(group=group, users=[linus], actor=OPERATOR)
    MembershipFactory.create(group=group, user=dora)
    row = waiting(held)
    assert "since the restore" in " ".join(unmanaged_decisions.preview_take_over(row))
    wanted = {member.username: member for member in wanted_of(take_over(row, {LISE: LISES})).members}
    assert wanted[LISE] == next(member for member in held.members if member.username == LISE)
    assert wanted[people["linus"].username].suspended
    assert wanted[people["ada"].username].key_serial == 4
    assert people["grace"].username not in wanted
    doras = Membership.objects.select_related("group__stack").get(user=dora)
    assert (doras.username in wanted, doras.access_state) == (True, "adding")


def test_who_was_removed_since_the_restore_goes_though_aws_has_them(held: GroupManifest, group: Group, ada: User) -> None:
    for _ in range(AFTER):
        request_group_deployment(group, "More than AWS has seen", OPERATOR)
    remove_member(group=group, user=ada, actor=OPERATOR)
    wanted = wanted_of(take_over(waiting(held), {LISE: LISES}))
    assert {member.username: member.part for member in wanted.members if member.access == "keys"} == {LISE: 1}
    assert Membership.objects.select_related("group__stack").get(user=ada).access_state == "removing"


def test_who_was_added_anew_since_the_restore_gets_back_what_they_had(held: GroupManifest, group: Group, ada: User) -> None:
    lise = UserFactory.create(email=LISES)
    MembershipFactory.create(group=group, user=lise, manager=True)
    with pytest.raises(AlreadyMember, match="Nothing was changed"):
        take_over(waiting(held), {LISE: ada.email})
    take_over(UnmanagedResource.objects.get(), {LISE: LISES})
    hers = Membership.objects.wanted().get(user=lise)
    assert (hers.username, hers.access, hers.key_serial, hers.is_manager) == (LISE, Access.KEYS, 2, True)


def test_a_bucket_that_no_analysis_here_has_is_told_of_and_lost(held: GroupManifest) -> None:
    lost = AnalysisGrant(bucket="cohort-lost", access="read-only")
    row = waiting(held.model_copy(update={"analyses": (lost, *held.analyses)}))
    assert "the group loses them: cohort-lost." in " ".join(unmanaged_decisions.preview_take_over(row))
    assert [analyse.bucket for analyse in wanted_of(take_over(row, {LISE: LISES})).analyses] == ["cohort-video"]


def test_a_known_group_is_decided_about_as_it_was_read_and_by_administrators(held: GroupManifest, group: Group, ada: User) -> None:
    row = waiting(held)
    with pytest.raises(PermissionDenied):
        unmanaged_decisions.take_over(row, confirmation=NAME, people={}, actor=Actor(label=ada.email, channel="web", user=ada))
    with pytest.raises(NotDecided, match="no such member"):
        take_over(row, {GRACE: LISES})
    running = DeploymentFactory.create(stack=group.stack, generation=2, state=Deployment.State.RUNNING)
    with pytest.raises(NotDecided, match="is under way"):
        take_over(row, {})
    running.delete()
    Stack.objects.filter(pk=group.stack_id).update(newer_generation=AFTER + 1)
    with pytest.raises(NotDecided, match="by now AWS holds generation 10"):
        take_over(row, {})
    with pytest.raises(NotDecided, match="Deploy what the database says"):
        unmanaged_decisions.remove(row, confirmation=NAME, actor=OPERATOR)
    assert Membership.objects.wanted().count() == 3


def test_a_known_group_waits_on_the_review_with_what_becomes_of_it(
    client: Client, administrator: User, held: GroupManifest, group: Group
) -> None:
    client.force_login(administrator)
    assert "access review" in client.get(f"/deployments/stacks/{NAME}/").content.decode()
    row = waiting(held)
    address = f"/review/unmanaged/{row.pk}/"
    review = client.get("/review/").content.decode()
    assert (review.count(NAME), address in review) == (1, True)
    page = client.get(address).content.decode()
    assert page.count('name="person-') == 1
    for told in (f'name="person-{LISE}"', "stay out: grace@example.org.", "video (read-only)", "Deploy what the database says"):
        assert told in page
    form = {"confirmation": NAME, f"person-{LISE}": LISES}
    done = client.post(f"{address}take-over/", form, follow=True).content.decode()
    assert "is taken over" in done
    assert "Waits for a decision" not in done


def test_what_was_decided_on_the_stack_s_page_waits_no_more(client: Client, administrator: User, held: GroupManifest) -> None:
    row = waiting(held)
    deploy_ours(Stack.objects.get(name=NAME), actor=OPERATOR)
    client.force_login(administrator)
    assert NAME not in client.get("/review/").content.decode()
    assert client.get(f"/review/unmanaged/{row.pk}/").status_code == 404
    with pytest.raises(NotDecided, match="nothing that the database does not know"):
        take_over(row, {})


def test_a_known_group_is_read_once_it_is_seen_to_have_changed(held: GroupManifest) -> None:
    """Whichever comes first after a restore, the look at everything or the comparison of the group's stack."""
    long_ago = timezone.now() - 2 * schedule.MIN_RESCAN_DELAY
    look = ScanFactory.create(asked_at=long_ago)
    assert unmanaged.is_unknown(UnmanagedResource(kind="stack", name=NAME, slug="example-lab"))
    schedule.start_due_scans()
    look.refresh_from_db()
    assert look.asked_at is not None
    assert look.asked_at > long_ago
    waiting(held)
    Scan.objects.filter(pk=look.pk).update(asked_at=long_ago)
    schedule.start_due_scans()
    look.refresh_from_db()
    assert look.asked_at == long_ago
    Stack.objects.filter(name=NAME).update(newer_generation=0)
    assert not unmanaged.is_unknown(UnmanagedResource(kind="stack", name=NAME, slug="example-lab"))

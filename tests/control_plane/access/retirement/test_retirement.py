"""The end of a group: asked for, undone while there is time, carried out, and kept as a record."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from control_plane.access.groups.errors import BeingRetired, CodeRefused, NameTaken
from control_plane.access.groups.models import Access, AccessState, Analysis, Grant, Group, JoinRequest, Membership
from control_plane.access.groups.services.analyses import grant_analysis
from control_plane.access.groups.services.groups import create_group
from control_plane.access.groups.services.join_codes import find_usable_code, make_join_code
from control_plane.access.groups.services.joining import approve, ask_to_join
from control_plane.access.groups.services.members import add_member
from control_plane.access.groups.services.suspension import resume_group, suspend_group
from control_plane.access.retirement.errors import RetirementRefused
from control_plane.access.retirement.models import Retirement, Survey
from control_plane.access.retirement.requests import request_retirement, undo_retirement
from control_plane.access.retirement.schedule import continue_retirements
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.models import Deployment, Stack
from control_plane.notifications.models import Notice
from tests.control_plane.retirement_rows import BUCKET, ask_for, carry_out, lab, make_due, newest_manifest
from tests.factories import GroupFactory, MembershipFactory, settle

__all__ = ["lab"]


def test_asking_suspends_the_group_at_once_and_lets_nobody_in(lab: Group, grace: User, ada: User, operator: Actor) -> None:
    _code, text = make_join_code(group=lab, actor=operator)
    request = ask_to_join(user=grace, actor=operator, code=text)
    retirement = ask_for(lab)
    lab.refresh_from_db()
    assert lab.suspended_at is not None
    assert newest_manifest(lab).suspended
    assert abs(retirement.due_at - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)
    assert retirement.counts == {"members": 1, "keys": 1, "analyses": 1, "join_codes": 1, "requests": 1}
    with pytest.raises(BeingRetired, match="is being retired"):
        add_member(group=lab, user=grace, access=Access.FEDERATED, actor=operator)
    with pytest.raises(BeingRetired):
        approve(request, actor=operator)
    with pytest.raises(BeingRetired):
        make_join_code(group=lab, actor=operator)
    with pytest.raises(BeingRetired):
        resume_group(group=lab, actor=operator)
    with pytest.raises(CodeRefused):
        find_usable_code(text)
    assert Notice.objects.filter(key=f"group {lab.pk} retirement {retirement.pk} waiting", recipient=ada.email).exists()
    with pytest.raises(BeingRetired):
        ask_for(lab)


def test_undoing_brings_it_back_as_it_was(lab: Group, grace: User, operator: Actor) -> None:
    _, text = make_join_code(group=lab, actor=operator)
    ask_for(lab)
    undo_retirement(group=lab, actor=operator)
    lab.refresh_from_db()
    assert lab.suspended_at is None
    assert not newest_manifest(lab).suspended
    assert find_usable_code(text).group == lab
    MembershipFactory.create(group=lab, user=grace)
    with pytest.raises(RetirementRefused, match="is not being retired"):
        undo_retirement(group=lab, actor=operator)
    assert set(AuditEvent.objects.filter(target=f"group {lab.slug}").values_list("action", flat=True)) >= {
        "group.retire",
        "group.unretire",
    }


def test_a_group_that_was_suspended_before_stays_so_if_it_is_undone(lab: Group, operator: Actor) -> None:
    suspend_group(group=lab, actor=operator)
    ask_for(lab)
    undo_retirement(group=lab, actor=operator)
    lab.refresh_from_db()
    assert lab.suspended_at is not None


@pytest.mark.parametrize("confirmation", ["", "example", "example-lab-2", "Example Lab"])
def test_another_slug_confirms_nothing(lab: Group, operator: Actor, confirmation: str) -> None:
    with pytest.raises(RetirementRefused, match="is not the group's slug"):
        request_retirement(group=lab, confirmation=confirmation, actor=operator)
    assert not Retirement.objects.exists()


def test_only_administrators_and_at_once_only_from_the_terminal(lab: Group, ada: User, administrator: User) -> None:
    manager = Actor(label=ada.email, channel="web", user=ada)
    with pytest.raises(PermissionDenied):
        request_retirement(group=lab, confirmation=lab.slug, actor=manager)
    with pytest.raises(RetirementRefused, match="terminal"):
        request_retirement(
            group=lab, confirmation=lab.slug, actor=Actor(label="a", channel="web", user=administrator), at_once=True
        )


def test_when_it_is_due_everything_ends_and_the_record_stays(lab: Group, ada: User, grace: User, operator: Actor) -> None:
    _, text = make_join_code(group=lab, actor=operator)
    request = ask_to_join(user=grace, actor=operator, code=text)
    retirement = ask_for(lab)
    continue_retirements()
    assert not Stack.objects.get(pk=lab.stack_id).is_retired, "it is not due yet"
    make_due(retirement)
    continue_retirements()
    continue_retirements()
    retirement.refresh_from_db()
    assert retirement.state == Retirement.State.REMOVING
    manifest = newest_manifest(lab)
    assert (manifest.retired, manifest.members, manifest.analyses) == (True, (), ())
    assert retirement.deployment is not None
    assert Deployment.objects.open().filter(stack=lab.stack_id).count() == 1
    with pytest.raises(RetirementRefused, match="cannot be undone"):
        undo_retirement(group=lab, actor=operator)
    settle(lab.stack)
    continue_retirements()
    retirement.refresh_from_db()
    lab.refresh_from_db()
    assert retirement.state == Retirement.State.DONE
    assert lab.retired_at is not None
    membership = Membership.objects.get(group=lab)
    assert membership.user == ada
    assert membership.access_state == AccessState.ENDED
    assert Grant.objects.wanted().filter(group=lab).count() == 0
    request.refresh_from_db()
    assert request.state == JoinRequest.State.DECLINED
    with pytest.raises(CodeRefused):
        find_usable_code(text)
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert actions >= {"group.retire", "group.retire_begin", "member.remove", "group.retired"}
    assert lab.stack.deployments.exists()


@pytest.mark.parametrize(("slug", "name"), [("example-lab", "Another"), ("another-lab", "EXAMPLE lab")])
def test_slug_and_name_of_a_retired_group_are_not_given_again(lab: Group, operator: Actor, slug: str, name: str) -> None:
    carry_out(ask_for(lab))
    with pytest.raises(NameTaken, match=r"was retired on .* not given again"):
        create_group(slug=slug, name=name, actor=operator)


def test_nothing_is_added_to_a_retired_group(lab: Group, grace: User, operator: Actor) -> None:
    carry_out(ask_for(lab))
    lab.refresh_from_db()
    with pytest.raises(BeingRetired, match="was retired on"):
        add_member(group=lab, user=grace, access=Access.FEDERATED, actor=operator)
    with pytest.raises(BeingRetired):
        grant_analysis(analysis=Analysis.objects.get(slug="ending"), group=lab, level=Grant.Level.READ_ONLY, actor=operator)


def test_who_moves_into_a_group_that_is_retired_stays_where_they_were(lab: Group, grace: User, operator: Actor) -> None:
    from control_plane.access.groups.services.transfers import finish_transfers, move_member

    other = GroupFactory.create(slug="other-lab")
    MembershipFactory.create(group=other, user=grace, deployed=True)
    move_member(source=other, target=lab, user=grace, actor=operator)
    ask_for(lab, at_once=True)
    finish_transfers()
    old = Membership.objects.get(group=other, user=grace)
    assert old.removed_generation is None
    assert old.replaced_by is None


def test_at_once_is_one_deployment(lab: Group) -> None:
    retirement = ask_for(lab, at_once=True)
    assert retirement.state == Retirement.State.REMOVING
    assert Deployment.objects.open().filter(stack=lab.stack_id).count() == 1


def test_another_group_is_left_alone(lab: Group, ada: User) -> None:
    other = GroupFactory.create(slug="other-lab")
    MembershipFactory.create(group=other, user=ada, keys=True, deployed=True)
    before = newest_manifest(other)
    carry_out(ask_for(lab))
    assert newest_manifest(other) == before
    assert Membership.objects.wanted().filter(group=other, user=ada).exists()


# The command.


def run(*arguments: str) -> Any:
    out = StringIO()
    call_command("retire", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_asks_tells_and_undoes(lab: Group) -> None:
    asked = run("ask", lab.slug, "--confirm", lab.slug, "--data", "archive")["retirement"]
    assert (asked["state"], asked["data"]) == ("waiting", "archive")
    assert run("status", lab.slug)["retirement"]["state"] == "waiting"
    assert [row["group"] for row in run("list")] == [lab.slug]
    assert run("undo", lab.slug)["retirement"]["state"] == "undone"
    with pytest.raises(CommandError, match="is not the group's slug"):
        call_command("retire", "ask", lab.slug, "--confirm", "no", stdout=StringIO())


def test_retired_groups_stay_in_the_list_and_can_be_left_out(lab: Group) -> None:
    carry_out(ask_for(lab))
    for standing, slugs in (("all", [lab.slug]), ("active", []), ("retired", [lab.slug])):
        out = StringIO()
        call_command("group", "list", "--standing", standing, "--json", stdout=out)
        assert [row["slug"] for row in json.loads(out.getvalue())] == slugs


# The administration.


def test_the_page_previews_asks_shows_and_undoes(
    lab: Group, administrator: User, client: Client, django_assert_max_num_queries: Any
) -> None:
    client.force_login(administrator)
    address = reverse("admin:groups_group_retire_page", args=(lab.pk,))
    text = client.get(address).content.decode()
    assert "1 member’s access" in text
    assert "A worker counts what is on AWS" in text
    Survey.objects.update(
        state="done",
        resources={"AWS::IAM::User": 1},
        buckets=[{"bucket": BUCKET, "objects": 20_001, "bytes": 2_000_000, "more": True}],
    )
    live = client.get(reverse("admin:groups_group_retire_live", args=(lab.pk,))).content.decode()
    assert "1 × IAM User" in live
    assert "more than 20,001 objects, more than 2 MB" in live
    assert "hx-get" not in live
    refused = client.post(address, {"objects": "delete", "confirmation": "wrong"})
    assert refused.status_code == 422
    assert not Retirement.objects.exists()
    assert client.post(address, {"objects": "delete", "confirmation": lab.slug}).status_code == 302
    with django_assert_max_num_queries(22):
        text = client.get(address).content.decode()
    assert "Undo: keep the group" in text
    assert "is suspended" in text
    assert Retirement.objects.get().places.get().expected == 20_001
    client.post(reverse("admin:groups_group_retire_undo", args=(lab.pk,)))
    assert Retirement.objects.get().state == Retirement.State.UNDONE
    carry_out(ask_for(lab))
    text = client.get(address).content.decode()
    assert "Who was in it" in text
    assert "ada@example.org" in text
    assert "is retired since" in text
    listed = client.get(reverse("admin:groups_group_changelist") + "?standing=retired").content.decode()
    assert "retired since" in listed
    assert lab.slug in listed
    assert lab.slug not in client.get(reverse("admin:groups_group_changelist") + "?standing=active").content.decode()


def test_a_member_sees_nothing_of_the_page(lab: Group, ada: User, client: Client) -> None:
    client.force_login(ada)
    assert client.get(reverse("admin:groups_group_retire_page", args=(lab.pk,))).status_code == 403

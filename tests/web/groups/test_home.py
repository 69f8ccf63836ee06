"""The home page: where a new person stands, what a member can do, and how to ask to join."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from control_plane.access.groups.models import Group, JoinRequest
from control_plane.access.groups.services.joining import approve, ask_to_join, decline
from control_plane.access.groups.services.members import remove_member
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.models import Deployment
from tests.actors import actor_of, client_of
from tests.factories import (
    AnalysisFactory,
    GrantFactory,
    GroupFactory,
    JoinRequestFactory,
    MembershipFactory,
    UserFactory,
    join_code_for,
    settle,
)

pytestmark = pytest.mark.django_db


def home(user: User) -> str:
    return client_of(user).get("/").content.decode()


def test_it_works(group: Group, ada: User, grace: User, operator: Actor) -> None:
    User.objects.filter(pk=MembershipFactory.create(group=group, user=grace, manager=True, deployed=True).user.pk).update(
        name="Grace Hopper"
    )
    request = JoinRequestFactory.create(user=ada, group=group)
    page = home(ada)
    assert "Waiting for Grace Hopper or an administrator" in page
    assert 'hx-trigger="every 5s"' in page
    approve(request, actor=operator)
    Deployment.objects.open().update(state=Deployment.State.RUNNING, doing="Changing it on AWS", percent=40)
    page = home(ada)
    assert "Changing it on AWS" in page
    assert 'value="40"' in page
    assert 'hx-trigger="every 2s"' in page
    settle(group.stack)
    page = home(ada)
    assert "Open Example Lab" in page
    assert "✓ active" in page
    assert 'hx-trigger="every' not in page


def test_who_has_asked_for_nothing_is_told_how_to(ada: User) -> None:
    page = home(ada)
    assert "You are in no group yet." in page
    assert '<details class="action" open>' in page


def test_an_address_that_is_not_verified_is_the_first_step(group: Group, ada: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True, deployed=True)
    ask_to_join(user=ada, actor=actor_of(ada), code=join_code_for(group), is_verified=False)
    page = home(ada)
    assert "Open the link in the e-mail to ada@example.org." in page
    assert "grace" not in page


def test_a_failure_on_aws_is_said_and_the_page_stops_asking(group: Group, ada: User, operator: Actor) -> None:
    approve(JoinRequestFactory.create(user=ada, group=group), actor=operator)
    Deployment.objects.update(state=Deployment.State.FAILED)
    page = home(ada)
    assert "Something went wrong on AWS" in page
    assert 'hx-trigger="every' not in page


def test_a_refusal_is_shown_with_its_reason_for_two_weeks(group: Group, ada: User, operator: Actor) -> None:
    decline(JoinRequestFactory.create(user=ada, group=group), actor=operator, note="<b>Ask in May.</b>")
    assert "&lt;b&gt;Ask in May.&lt;/b&gt;" in home(ada)
    JoinRequest.objects.update(decided_at=timezone.now() - timedelta(days=15))
    assert "Ask in May" not in home(ada)


def test_a_removed_member_s_old_request_is_not_shown(group: Group, ada: User, operator: Actor) -> None:
    approve(JoinRequestFactory.create(user=ada, group=group), actor=operator)
    settle(group.stack)
    remove_member(group=group, user=ada, actor=operator)
    assert "Where you stand" not in home(ada)
    settle(group.stack)
    assert "Where you stand" not in home(ada)


def test_asking_by_a_code(group: Group, ada: User) -> None:
    answer = client_of(ada).post("/requests/ask/", {"code": join_code_for(group).lower()}, follow=True)
    assert "You asked to join Example Lab." in answer.content.decode()
    assert JoinRequest.objects.get().state == "waiting"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({}, "either a join code or the name"),
        ({"code": "AAAA", "new_group": "Lab"}, "either a join code or the name"),
        ({"code": "AAAA-AAAA"}, "does not work"),
        ({"code": "A" * 65}, "at most 64"),
        ({"new_group": "Example Lab"}, "ask the group&#x27;s manager for a code"),
        ({"new_group": "L\u0430b"}, "mixes letters"),
    ],
)
def test_what_cannot_be_asked_for_is_said_beside_what_was_typed(group: Group, ada: User, typed: dict[str, str], says: str) -> None:
    answer = client_of(ada).post("/requests/ask/", typed)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert says in page
    assert all(f'value="{text}"' in page for text in typed.values())
    assert not JoinRequest.objects.exists()


def test_a_request_is_withdrawn_by_who_made_it(group: Group, ada: User, grace: User) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    assert client_of(grace).post(f"/requests/{request.pk}/withdraw/").status_code == 404
    assert AuditEvent.objects.filter(action="access.refused", actor=grace.email).exists()
    client_of(ada).post(f"/requests/{request.pk}/withdraw/")
    request.refresh_from_db()
    assert request.state == "withdrawn"
    again = client_of(ada).post(f"/requests/{request.pk}/withdraw/", follow=True)
    assert "withdrawn already" in again.content.decode()


def test_home_leads_to_each_analysis_that_is_in_force(group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    for slug in ("ephys", "video"):
        analysis = AnalysisFactory.create(slug=slug, bucket=f"cohort-{slug}", name=slug.title())
        GrantFactory.create(group=group, analysis=analysis)
        if slug == "ephys":
            settle(group.stack)
    page = home(ada)
    assert "Ephys: upload and files" in page
    # Not deployed yet.
    assert "Video" not in page


def test_managers_see_how_many_wait(group: Group, ada: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True, deployed=True)
    JoinRequestFactory.create(user=ada, group=group)
    JoinRequestFactory.create(user=UserFactory.create(email="lise@example.org"), new_group_name="New Lab")
    assert "1 person asks to join" in home(grace)
    assert "to join. They have" not in home(ada)


def test_a_part_of_the_page_is_sent_when_it_asks_again(group: Group, ada: User) -> None:
    JoinRequestFactory.create(user=ada, group=group)
    part = client_of(ada).get("/", headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="mine"')
    assert "<html" not in part


def test_many_groups_and_requests_cost_no_more_queries(ada: User) -> None:
    def add(first: int, last: int) -> None:
        for number in range(first, last):
            group = GroupFactory.create(slug=f"lab-{number}")
            MembershipFactory.create(group=group, user=ada, manager=True, deployed=True)
            JoinRequestFactory.create(user=UserFactory.create(email=f"p{number}@example.org"), group=group)
            analysis = AnalysisFactory.create(slug=f"a-{number}", bucket=f"cohort-a-{number}")
            GrantFactory.create(group=group, analysis=analysis, read_only=True, deployed=True)
            other = GroupFactory.create(slug=f"other-{number}")
            MembershipFactory.create(
                group=other, user=UserFactory.create(email=f"m{number}@example.org"), manager=True, deployed=True
            )
            JoinRequestFactory.create(user=ada, group=other)

    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/").status_code == 200
        return len(captured)

    client = client_of(ada)
    add(0, 2)
    few = count()
    add(2, 14)
    assert count() <= few


@pytest.mark.parametrize("path", ["/requests/ask/", "/requests/1/withdraw/", "/requests/1/approve/", "/requests/1/decline/"])
def test_changes_are_posted_by_who_is_signed_in_with_the_page_s_token(path: str, ada: User) -> None:
    assert "/accounts/login/" in Client().post(path).headers["Location"]
    assert client_of(ada).get(path).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert strict.post(path, {"new_group": "Lab"}).status_code == 403
    assert not JoinRequest.objects.exists()

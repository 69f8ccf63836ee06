"""The nightly clean-up: what is old and ended goes, and nothing else."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from control_plane.access.groups.announcements import announce_request
from control_plane.access.groups.models import Access, Analysis, Group, JoinRequest
from control_plane.access.groups.services.members import add_member
from control_plane.accounts.models import User
from control_plane.base import cleaning
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.models import Deployment, LogLine
from control_plane.deployments.requests import request_check
from control_plane.notifications.models import MAX_TRIES, Notice
from control_plane.research.uploads.models import Upload
from tests.factories import AnalysisFactory, UserFactory, settle

pytestmark = pytest.mark.django_db


def days_ago(days: float) -> Any:
    return timezone.now() - timedelta(days=days)


def clean() -> Any:
    output = StringIO()
    call_command("cleanup", "--json", stdout=output)
    return json.loads(output.getvalue())


def test_an_empty_site_has_nothing_to_clean_and_leaves_no_trace() -> None:
    removed = clean()
    assert set(removed.values()) == {0}
    assert len(removed) == 7
    assert not AuditEvent.objects.exists()


def test_messages_that_are_old_and_ended_go(group: Group) -> None:
    def notice(recipient: str, days: float, **fields: Any) -> None:
        fields = {"event": "failed", "channel": "email", "recipient": recipient} | fields
        row = Notice.objects.create(**fields)
        Notice.objects.filter(pk=row.pk).update(created_at=days_ago(days))

    notice("sent@example.org", 91, sent_at=days_ago(91))
    notice("given-up@example.org", 91, attempts=MAX_TRIES)
    notice("recent@example.org", 89, sent_at=days_ago(89))
    notice("waits@example.org", 91)
    assert clean()["old messages"] == 2
    assert set(Notice.objects.values_list("recipient", flat=True)) == {"recent@example.org", "waits@example.org"}


def test_the_log_of_a_deployment_that_ended_long_ago_goes_and_the_deployment_stays(group: Group) -> None:
    deployment = Deployment.objects.get()
    deployment.log_line("AWS did it")
    assert clean()["old log lines"] == 0
    settle(group.stack)
    Deployment.objects.update(finished_at=days_ago(366))
    assert clean()["old log lines"] == 1
    assert not LogLine.objects.exists()
    assert Deployment.objects.get().changes.exists()


def test_tasks_that_ended_go_and_those_that_wait_stay(group: Group, operator: Actor) -> None:
    request_check(group.stack, actor=operator)
    request_check(group.stack, actor=operator)
    first = DBTaskResult.objects.order_by("enqueued_at").first()
    assert first is not None
    DBTaskResult.objects.filter(pk=first.pk).update(status="SUCCESSFUL", finished_at=days_ago(31))
    assert clean()["ended tasks"] == 1
    assert DBTaskResult.objects.count() == 1


def test_the_record_of_ended_uploads_goes_and_unfinished_ones_can_go_on(group: Group, ada: User) -> None:
    analysis: Analysis = AnalysisFactory.create(slug="ephys", bucket="cohort-ephys")
    for number, (state, days) in enumerate((("complete", 91), ("removed", 91), ("complete", 89), ("sending", None))):
        Upload.objects.create(
            group=group,
            analysis=analysis,
            user=ada,
            key=f"example-lab/inputs/{number}",
            folder="",
            size=1,
            modified=1,
            part_size=1,
            state=state,
            ended_at=days_ago(days) if days else None,
        )
    assert clean()["ended uploads"] == 2
    assert set(Upload.objects.values_list("state", flat=True)) == {"complete", "sending"}


def sign_up(email: str, days: float, **fields: Any) -> User:
    """As somebody who did not confirm their address."""
    return UserFactory.create(email=email, date_joined=days_ago(days), unverified=True, **fields)


def verify(user: User) -> None:
    EmailAddress.objects.filter(user=user).update(verified=True)


@pytest.mark.parametrize(
    ("days", "after", "stays"),
    [
        (15, lambda user: None, False),
        (13, lambda user: None, True),
        (15, verify, True),
        (15, lambda user: User.objects.filter(pk=user.pk).update(is_staff=True), True),
        (15, lambda user: User.objects.filter(pk=user.pk).update(last_login=timezone.now()), True),
        (15, lambda user: EmailAddress.objects.filter(user=user).delete(), True),
    ],
)
def test_sign_ups_that_were_never_verified_go(days: float, after: Callable[[User], object], stays: bool) -> None:
    after(sign_up("nobody@example.org", days))
    clean()
    assert User.objects.filter(email="nobody@example.org").exists() is stays
    assert AuditEvent.objects.filter(action="account.unverified_removed", target="nobody@example.org").exists() is not stays


def test_nobody_is_told_what_became_of_the_request_of_a_removed_person(group: Group, ada: User, operator: Actor) -> None:
    gone = sign_up("nobody@example.org", 15)
    for person in (gone, ada):
        request = JoinRequest.objects.create(user=person, group=group, state=JoinRequest.State.UNVERIFIED)
        announce_request(request, Notice.Event.JOIN_DECLINED, [person.email])
    clean()
    assert not JoinRequest.objects.filter(user=gone.pk).exists()
    assert list(Notice.objects.values_list("recipient", flat=True)) == [ada.email]


def test_whoever_was_put_into_a_group_stays_unverified_or_not(group: Group, operator: Actor) -> None:
    user = sign_up("member@example.org", 100)
    add_member(group=group, user=user, access=Access.FEDERATED, actor=operator)
    assert clean()["sign-ups that were never verified"] == 0
    assert User.objects.filter(pk=user.pk).exists()


def test_browsers_whose_session_has_ended_leave_the_list(ada: User) -> None:
    for key, hours in (("ended", -1), ("alive", 1)):
        Session.objects.create(session_key=key, session_data="", expire_date=timezone.now() + timedelta(hours=hours))
        UserSession.objects.create(user=ada, session_key=key, ip="192.0.2.1", user_agent="")
    UserSession.objects.update(last_seen_at=days_ago(1))
    assert clean()["ended sign-ins"] == 1
    assert UserSession.objects.get().session_key == "alive"


def test_more_than_fit_one_step_go(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "MAX_ROWS_PER_TRANSACTION", 3)
    LogLine.objects.bulk_create(LogLine(deployment=Deployment.objects.get(), number=number, text="x") for number in range(1, 11))
    Deployment.objects.update(finished_at=days_ago(400))
    assert clean()["old log lines"] == 10


def test_a_part_that_fails_does_not_keep_the_others_back(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise DatabaseError("locked")

    clean()
    monkeypatch.setitem(cleaning._CLEANUPS, "a part that fails", fail)
    Deployment.objects.get().log_line("x")
    Deployment.objects.update(finished_at=days_ago(400))
    with pytest.raises(CommandError, match="a part that fails could not be removed"):
        call_command("cleanup", stdout=StringIO())
    assert not LogLine.objects.exists()

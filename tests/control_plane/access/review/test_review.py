"""The access review: what IAM holds against the database, each difference marked; looking, signing and the file."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from moto import mock_aws

from control_plane.access.groups.models import Access, Grant, Group, Membership
from control_plane.access.groups.services.credentials import note_use
from control_plane.access.groups.services.members import remove_member
from control_plane.access.review import listing, schedule
from control_plane.access.review.models import AccessEntry, Finding, Mark, Scan, SignOff, UnmanagedResource
from control_plane.access.review.scan import StackIsChanging, scan_group, scan_outside_groups
from control_plane.access.review.sign_off import NotSignable, remind_of_reviews, sign_off, sign_off_status
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.errors import TooOften
from control_plane.deployments.models import Deployment
from control_plane.notifications.models import Notice
from stacks import names
from tests.actors import OPERATOR
from tests.control_plane.principals_on_aws import OnAws, deployed_lab
from tests.factories import MembershipFactory, UserFactory, settle

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def lab(group: Group, ada: User, grace: User, monkeypatch: pytest.MonkeyPatch) -> OnAws:
    return deployed_lab(group, ada, grace, monkeypatch)


def user_of(person: User) -> str:
    return names.user("example-lab", Membership.objects.wanted().get(user=person).username)


def kinds() -> set[str]:
    return set(Finding.objects.values_list("kind", flat=True))


def marks(**where: Any) -> set[str]:
    return {mark for line in AccessEntry.objects.filter(**where) for mark in line.marks}


def test_what_was_deployed_is_as_granted(lab: OnAws, group: Group, ada: User, grace: User) -> None:
    scan_group(group)
    assert kinds() == set()
    told = {(line.membership.user.email, line.bucket): line for line in AccessEntry.objects.all() if line.membership}
    assert {key: (line.rights, line.marks) for key, line in told.items()} == {
        (who.email, bucket): (rights, [])
        for who in (ada, grace)
        for bucket, rights in (("cohort-ephys", "list, read, write, delete"), ("cohort-video", "list, read"))
    }
    writable = "example-lab/configs/, example-lab/inputs/, example-lab/submissions/"
    assert {line.write_to for line in told.values()} == {writable, ""}
    assert {line.prefix for line in told.values()} == {"example-lab/"}


def test_each_change_from_outside_is_found(lab: OnAws, group: Group, ada: User) -> None:
    adas = user_of(ada)
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    lab.iam.put_user_policy(UserName=adas, PolicyName="more", PolicyDocument=json.dumps(wide))
    lab.iam.create_access_key(UserName=adas)
    lab.iam.create_user(UserName="mallory")
    lab.iam.add_user_to_group(GroupName="cohort-example-lab", UserName="mallory")
    lab.iam.create_user(UserName="stray", Path="/cohort/example-lab/")
    boto3.client("s3", region_name="us-east-1").put_bucket_policy(
        Bucket="cohort-video",
        Policy=json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]}),
    )
    scan_group(group)
    kind = Finding.Kind
    assert kinds() == {
        *(kind.FOREIGN_POLICY, kind.UNKNOWN_KEY, kind.FOREIGN_USER, kind.UNKNOWN_USER, kind.NO_BOUNDARY, kind.BUCKET_POLICY)
    }
    assert marks(membership__user=ada) == {Mark.WIDER}
    assert marks(principal="mallory") == {Mark.NOT_IN_DATABASE}
    assert "cohort-ephys" in AccessEntry.objects.filter(principal="mallory").values_list("bucket", flat=True)
    assert marks(principal="stray") == {Mark.NOT_IN_DATABASE}
    assert AccessEntry.objects.filter(membership__user=ada, bucket="cohort-*", can_write=True).exists()
    assert Finding.objects.get(kind=kind.NO_BOUNDARY).principal == "stray"


def test_who_is_missing_or_denied_on_aws_is_marked(lab: OnAws, group: Group, ada: User, grace: User) -> None:
    adas = user_of(ada)
    lab.iam.delete_access_key(UserName=adas, AccessKeyId=lab.keys[adas])
    lab.iam.remove_user_from_group(GroupName="cohort-example-lab", UserName=adas)
    lab.iam.delete_user(UserName=adas)
    shut: dict[str, Any] = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    username = Membership.objects.get(user=grace).username
    shut["Condition"] = {"StringLike": {"aws:userid": [f"*:{username}"]}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [shut]})
    lab.iam.put_role_policy(RoleName="cohort-example-lab", PolicyName="ended-sessions", PolicyDocument=document)
    scan_group(group)
    assert marks(membership__user=ada) == {Mark.NOT_ON_AWS}
    assert marks(membership__user=grace) == {Mark.DENIED, Mark.DENIED_ONLY}
    assert not AccessEntry.objects.filter(can_read=True).exists()
    assert kinds() == {Finding.Kind.MISSING}
    Membership.objects.filter(user=grace).update(suspended_at=timezone.now())
    scan_group(group)
    assert marks(membership__user=grace) == {Mark.DENIED, Mark.SUSPENDED}
    assert not AccessEntry.objects.filter(membership__user=grace, differs=True).exists()


def test_a_suspension_that_aws_does_not_hold_and_a_changed_grant_are_marked(lab: OnAws, group: Group, ada: User) -> None:
    Membership.objects.filter(user=ada).update(suspended_at=timezone.now())
    Grant.objects.filter(analysis__slug="ephys").update(level=Grant.Level.READ_ONLY)
    Grant.objects.filter(analysis__slug="video").update(level=Grant.Level.READ_WRITE)
    scan_group(group)
    assert Mark.LETS_IN in marks(membership__user=ada)
    assert Mark.WIDER in marks(bucket="cohort-ephys")
    assert Mark.NARROWER in marks(bucket="cohort-video")


def test_what_comes_and_goes_is_no_difference(lab: OnAws, group: Group, ada: User) -> None:
    new = UserFactory.create(email="new@example.org")
    MembershipFactory.create(group=group, user=new, keys=True)
    remove_member(group=group, user=ada, actor=OPERATOR)
    scan_group(group)
    assert marks(membership__user=new) == {Mark.ADDING}
    assert marks(membership__user=ada) == {Mark.REMOVING}
    assert not AccessEntry.objects.filter(differs=True).exists()


def test_nothing_is_looked_at_while_it_is_deployed(lab: OnAws, group: Group) -> None:
    scan_group(group)
    Deployment.objects.filter(stack=group.stack).update(state=Deployment.State.RUNNING)
    with pytest.raises(StackIsChanging):
        scan_group(group)
    assert AccessEntry.objects.count() == 4
    assert "is being deployed" in Scan.objects.get(group=group).error


def test_a_user_of_no_group_is_found(lab: OnAws) -> None:
    lab.iam.create_user(UserName="ghost", Path="/cohort/gone-lab/")
    scan_outside_groups()
    assert [(resource.kind, resource.name, resource.path) for resource in UnmanagedResource.objects.all()] == [
        ("user", "ghost", "/cohort/gone-lab/")
    ]


def test_the_sweep_has_each_group_looked_at_once_a_day_and_after_a_deployment(lab: OnAws, group: Group, at_once: None) -> None:
    assert schedule.start_due_scans() == 2
    assert schedule.start_due_scans() == 0
    scan_group(group)
    Scan.objects.update(asked_at=timezone.now() - timedelta(minutes=10))
    assert schedule.start_due_scans() == 0
    Scan.objects.filter(group=group).update(generation=0)
    assert schedule.start_due_scans() == 1
    assert schedule.start_due_scans() == 0
    Scan.objects.update(asked_at=timezone.now() - timedelta(hours=21))
    assert schedule.start_due_scans() == 2


def test_a_manager_may_have_it_looked_at_but_not_twice_at_once(lab: OnAws, group: Group, ada: User, grace: User) -> None:
    schedule.request_scan(group, actor=Actor(label=grace.email, channel="web", user=grace))
    with pytest.raises(TooOften):
        schedule.request_scan(group, actor=Actor(label=grace.email, channel="web", user=grace))
    with pytest.raises(PermissionDenied):
        schedule.request_scan(group, actor=Actor(label=ada.email, channel="web", user=ada))


def test_signing_needs_a_fresh_look_and_keeps_what_was_seen(lab: OnAws, group: Group, ada: User, grace: User) -> None:
    manager = Actor(label=grace.email, channel="web", user=grace)
    with pytest.raises(NotSignable, match="not checked yet"):
        sign_off(group=group, actor=manager, looked_at=timezone.now())
    lab.iam.create_access_key(UserName=user_of(ada))
    seen = scan_group(group)
    assert seen.finished_at is not None
    with pytest.raises(NotSignable, match="checked again"):
        sign_off(group=group, actor=manager, looked_at=seen.finished_at - timedelta(seconds=1))
    with pytest.raises(PermissionDenied):
        sign_off(group=group, actor=Actor(label=ada.email, channel="web", user=ada), looked_at=seen.finished_at)
    signed = sign_off(group=group, actor=manager, looked_at=seen.finished_at, note="the key goes")
    assert (signed.by, signed.counts["people"], signed.counts["lines"], signed.counts["findings"]) == (grace.email, 2, 4, 1)
    assert "a key that Cohort did not make" in signed.differences[0]
    assert "example.org" not in json.dumps(signed.lines)
    assert AuditEvent.objects.filter(action="review.sign", target=group.slug).exists()
    Scan.objects.filter(group=group).update(finished_at=timezone.now() - timedelta(days=2))
    with pytest.raises(NotSignable, match="more than a day"):
        sign_off(group=group, actor=manager, looked_at=seen.finished_at)
    assert SignOff.objects.count() == 1


def test_managers_are_reminded_once_a_period(lab: OnAws, group: Group, grace: User) -> None:
    assert remind_of_reviews() == 0
    Group.objects.update(created_at=timezone.now() - timedelta(days=91))
    group.refresh_from_db()
    assert sign_off_status(group).is_due
    assert (remind_of_reviews(), remind_of_reviews()) == (1, 0)
    told = Notice.objects.get(event=Notice.Event.ABOUT_GROUP)
    assert (told.recipient, told.path) == (grace.email, "/groups/example-lab/review/")
    seen = scan_group(group)
    sign_off(group=group, actor=OPERATOR, looked_at=seen.finished_at or timezone.now())
    assert not sign_off_status(group).is_due
    SignOff.objects.update(at=timezone.now() - timedelta(days=91))
    assert (remind_of_reviews(), remind_of_reviews()) == (1, 0)


def test_last_use_is_kept_to_ten_minutes(lab: OnAws, ada: User) -> None:
    membership = Membership.objects.get(user=ada)
    note_use(membership)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        note_use(membership)
    assert len(queries) == 0
    old = timezone.now() - timedelta(minutes=11)
    Membership.objects.update(last_used_at=old)
    membership.refresh_from_db()
    note_use(membership)
    membership.refresh_from_db()
    assert membership.last_used_at is not None
    assert membership.last_used_at > old


def test_the_csv_is_what_the_page_shows_and_runs_no_formula(
    lab: OnAws, group: Group, administrator: User, client: Client, ada: User
) -> None:
    Membership.objects.update(added_by="=cmd()")
    scan_group(group)
    client.force_login(administrator)
    response = client.get("/review/csv/")
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    assert len(rows) == 4
    assert response["Cache-Control"] == "no-store"
    [row] = [item for item in rows if item["person"] == ada.email and item["bucket"] == "cohort-video"]
    assert (row["read"], row["write"], row["group"], row["marks"]) == ("yes", "no", group.slug, "")
    assert row["granted_by"].startswith("'=cmd()")
    assert row["since"]


@pytest.mark.parametrize("by", ["person", "group", "bucket", "nonsense"])
def test_pages_take_a_fixed_number_of_queries(
    lab: OnAws, group: Group, administrator: User, client: Client, by: str, django_assert_max_num_queries: Any
) -> None:
    people = User.objects.bulk_create(User(email=f"member{n}@example.org") for n in range(200))
    generation = group.stack.deployed_generation
    Membership.objects.bulk_create(
        Membership(group=group, user=person, access=Access.FEDERATED, added_generation=generation, added_by="x")
        for person in people
    )
    scan_group(group)
    assert AccessEntry.objects.count() == 404
    client.force_login(administrator)
    with django_assert_max_num_queries(12):
        page = client.get(f"/review/?by={by}")
    assert b"1 of 9" in page.content
    with django_assert_max_num_queries(14):
        assert client.get(f"/groups/example-lab/review/?by={by}").status_code == 200
    with django_assert_max_num_queries(12):
        found = client.get(f"/review/?by={by}&search=member19@ video")
    assert b"member19@example.org" in found.content
    assert b"member20@example.org" not in found.content
    with django_assert_max_num_queries(12):
        assert client.get("/review/sign-offs/").status_code == 200
    with django_assert_max_num_queries(12):
        rows = client.get("/review/csv/").getvalue().decode().splitlines()
    assert len(rows) == 405


def test_who_may_see_it(lab: OnAws, group: Group, ada: User, grace: User, client: Client) -> None:
    for person, status in ((ada, 403), (grace, 200)):
        client.force_login(person)
        assert client.get("/review/").status_code == 403
        assert client.get("/groups/example-lab/review/").status_code == status
        assert client.get("/groups/example-lab/review/csv/").status_code == status
    client.force_login(UserFactory.create(email="nobody@example.org"))
    assert client.get("/groups/example-lab/review/").status_code == 404


def test_removing_somebody_everywhere_shows_in_the_review(
    lab: OnAws, group: Group, ada: User, administrator: User, client: Client
) -> None:
    scan_group(group)
    client.force_login(administrator)
    assert b"Example Lab" in client.get(f"/review/people/{ada.pk}/remove/").content
    answer = client.post(f"/review/people/{ada.pk}/remove/", follow=True)
    assert b"in 1 deployment;" in answer.content
    ada.refresh_from_db()
    assert not ada.is_active
    scan_group(group)
    assert marks(membership__user=ada) == {Mark.REMOVING}
    settle(group.stack)
    scan_group(group)
    assert marks(principal__startswith="cohort-example-lab-m") == {Mark.NOT_IN_DATABASE}


def test_a_manager_signs_on_the_page(lab: OnAws, group: Group, grace: User, client: Client) -> None:
    seen = scan_group(group)
    assert seen.finished_at is not None
    client.force_login(grace)
    page = client.get("/groups/example-lab/review/sign/")
    assert seen.finished_at.isoformat() in page.content.decode()
    form = {"note": "fine", "looked_at": seen.finished_at.isoformat()}
    done = client.post("/groups/example-lab/review/sign/", form, follow=True)
    assert b"You have signed" in done.content
    assert b"2 people, 4 lines, 0 differences" in done.content
    for bad in ("", "yesterday", "2020-01-01T00:00:00", "\0"):
        client.post("/groups/example-lab/review/sign/", {"looked_at": bad})
    assert SignOff.objects.count() == 1


def test_the_command_tells_the_same(lab: OnAws, group: Group, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("review", "look", "--json")
    looked = json.loads(capsys.readouterr().out)
    assert looked["looked"]["example-lab"]["lines"] == 4
    call_command("review", "list", "--group", "example-lab", "--json")
    assert len(json.loads(capsys.readouterr().out)["lines"]) == 4
    call_command("review", "list", "--csv")
    assert capsys.readouterr().out.startswith("person,group,bucket")
    call_command("review", "sign", "example-lab", "--note", "by hand")
    call_command("review", "due")
    assert "tester" not in capsys.readouterr().err
    assert [listing.granted_by(line) for line in AccessEntry.objects.all()[:1]] == ["terminal:tester"]


def test_a_retired_group_is_not_shown(lab: OnAws, group: Group) -> None:
    scan_group(group)
    Group.objects.update(retired_at=timezone.now())
    assert not listing.review_lines().exists()
    assert schedule.start_due_scans() == 1, "what lies outside every group, alone"
    scan_outside_groups()
    told = set(UnmanagedResource.objects.values_list("kind", "name"))
    own = {("role", "cohort-example-lab"), ("iam-group", "cohort-example-lab")}
    assert told == {("user", name) for name in lab.keys} | own, "now nobody's"

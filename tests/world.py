"""The two groups of `tests.e2e.two_labs` in this process: every kind of person, and one of everything, on an AWS of moto's."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any

import boto3
import pytest
from allauth.usersessions.models import UserSession
from django.core.handlers.base import BaseHandler
from django.db import transaction
from django.test import Client, RequestFactory
from django.utils import timezone
from moto import mock_aws

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services import bucket_names
from control_plane.access.groups.services.members import add_member, remove_members
from control_plane.access.groups.services.suspension import suspend_members
from control_plane.access.people.removals import remove_people
from control_plane.accounts.models import User
from control_plane.deployments.models import Stack
from control_plane.research.storage import sessions
from tests.e2e import two_labs_rows as rows
from tests.e2e.two_labs import MIB, SHARED, SHARED_BUCKET, SLUGS, Lab
from tests.factories import settle

PASSWORD = "correct horse battery staple 9"
# People beside those of `two_labs_rows`.
SUSPENDED, ENDED, INACTIVE, STAFF, ALONE = "suspended", "ended", "inactive", "staff", "alone"
SIGNED_OUT = "signed-out"
IN_THE_GROUP = (rows.ADMINISTRATOR, rows.MANAGER, rows.FEDERATED, rows.KEYS)
OUTSIDE = (rows.FORMER, rows.ASKER, SUSPENDED, ENDED, INACTIVE, STAFF, ALONE, SIGNED_OUT)
EVERYBODY = (*IN_THE_GROUP, *OUTSIDE)
_factory = RequestFactory()


@dataclass
class World:
    """Both groups, and a browser of everybody's; one that is signed out has no session."""

    labs: dict[str, Lab]
    clients: dict[tuple[str, str], Client]

    def others(self) -> list[tuple[Lab, Lab]]:
        """Whose people try what, and on whose things."""
        first, second = self.labs.values()
        return [(first, second), (second, first)]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """For all tests of a module, in a transaction around theirs. On AWS, what a test changes stays until the module's end."""
    with mock_aws(), pytest.MonkeyPatch.context() as patched, django_db_blocker.unblock(), transaction.atomic():
        # As `tests.conftest` has it for each test.
        patched.setattr(bucket_names, "bucket_owner", lambda bucket: bucket_names.BucketOwner.NOBODY)
        sessions._clients.clear()
        yield make_world()
        sessions._clients.clear()
        transaction.set_rollback(True)


def ask(
    client: Client, method: str, address: str, *, form: dict[str, str] | None = None, body: Any = None, bearer: str = ""
) -> Any:
    """One request to the site's own handler: a test's client costs half as much again, by what it keeps of each page."""
    headers: dict[str, Any] = {"HTTP_COOKIE": "; ".join(f"{cooky.key}={cooky.value}" for cooky in client.cookies.values())}
    if bearer:
        headers["HTTP_AUTHORIZATION"] = f"Bearer {bearer}"
    if body is not None:
        request = _factory.generic(method, address, json.dumps(body), "application/json", **headers)
    elif method == "POST":
        request = _factory.post(address, form or {}, **headers)
    else:
        request = _factory.generic(method, address, **headers)
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    return _handler().get_response(request)


@cache
def _handler() -> BaseHandler:
    handler = BaseHandler()
    handler.load_middleware()
    return handler


def make_world() -> World:
    """Make it, in the database and on AWS."""
    rows.make(list(SLUGS), SHARED, PASSWORD)
    for slug in SLUGS:
        _others(Group.objects.get(slug=slug))
    for stack in Stack.objects.all():
        settle(stack)
    for slug in SLUGS:
        _end(Group.objects.get(slug=slug))
    for stack in Stack.objects.all():
        settle(stack)
    things = {slug: Lab(**rows._things(Group.objects.select_related("stack").get(slug=slug))) for slug in SLUGS}
    clients = {(role, slug): _browser(role, slug) for slug in SLUGS for role in EVERYBODY}
    return World({slug: _filled(lab, clients[rows.FEDERATED, slug]) for slug, lab in things.items()}, clients)


def _others(group: Group) -> None:
    """Who will be suspended, past their end, or inactive; and who is in no group."""
    for role in (SUSPENDED, ENDED, INACTIVE):
        add_member(group=group, user=_person(role, group.slug), access=Access.FEDERATED, actor=rows.OPERATOR)
    _person(ALONE, group.slug)
    staff = _person(STAFF, group.slug)
    staff.is_staff = True
    staff.save()


def _end(group: Group) -> None:
    """What took those people's access."""
    people = {role: User.objects.get(email=rows.email(role, group.slug)) for role in (rows.FORMER, SUSPENDED, ENDED, INACTIVE)}
    remove_members(group=group, users=[people[rows.FORMER]], actor=rows.OPERATOR)
    suspend_members(group=group, users=[people[SUSPENDED]], actor=rows.OPERATOR)
    remove_people(users=[people[INACTIVE]], actor=rows.OPERATOR)
    past = timezone.now() - timedelta(days=1)
    Membership.objects.filter(group=group, user=people[ENDED]).update(ends_at=past)


def _person(role: str, slug: str) -> User:
    return rows._person(rows.email(role, slug), PASSWORD)


def _browser(role: str, slug: str) -> Client:
    client = Client(raise_request_exception=False)
    if role != SIGNED_OUT:
        user = User.objects.get(email=rows.email(role, slug))
        client.force_login(user)
        UserSession.objects.create(user=user, ip="127.0.0.1", user_agent="x", session_key=client.session.session_key)
    return client


def _filled(lab: Lab, client: Client) -> Lab:
    """The group with its buckets, a file, a deleted one, an upload on its way, and the number of a member's session."""
    s3 = boto3.client("s3", region_name="us-east-1")
    version = marker = ""
    for bucket in (lab.bucket, SHARED_BUCKET):
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        version = s3.put_object(Bucket=bucket, Key=lab.secret, Body=f"of {lab.slug} alone".encode())["VersionId"]
        s3.put_object(Bucket=bucket, Key=lab.configuration, Body=f"of: {lab.slug}".encode())
        s3.put_object(Bucket=bucket, Key=lab.gone, Body=b"once there")
        marker = s3.delete_object(Bucket=bucket, Key=lab.gone)["VersionId"]
    starting = {"folder": "inputs", "files": [{"path": "half.bin", "size": 40 * MIB, "modified": 1_700_000_000_000}]}
    answer = client.post(f"/api/uploads/{lab.slug}/{SHARED}/start", starting, content_type="application/json")
    [begun] = answer.json()
    session = UserSession.objects.filter(user=lab.person).latest("pk")
    return replace(
        lab,
        session=session.pk,
        upload=begun["id"],
        upload_id=begun["upload_id"],
        upload_key=begun["key"],
        version=version,
        marker=marker,
    )

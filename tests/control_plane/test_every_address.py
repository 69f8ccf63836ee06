"""Every address of the site, asked by every kind of person, signed in or not, for another group's things: the table that decides.

`tests.e2e.tries` is the table: whoever adds a page says there whose things it shows. Here all of it is tried in this process; a
drawn part goes through the front door in `tests.e2e.test_other_groups`.
"""

import itertools
import logging
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from django.db import connection
from django.urls import reverse

from control_plane.base.audit.models import REFUSED, AuditEvent
from tests.e2e.tries import HARMLESS, LEADING_ON, LISTS, NOBODYS, OPEN, TRIES, Try, administration, pages
from tests.e2e.two_labs import ROWS, SHARED_BUCKET, Lab
from tests.e2e.two_labs_rows import ADMINISTRATOR, MANAGER, email
from tests.slow import IS_SLOW_WANTED
from tests.world import EVERYBODY, INACTIVE, SIGNED_OUT, World, ask, world

__all__ = ["world"]

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1200)]

SEED = 20_240_611
# Whose session is none.
NOBODY = (SIGNED_OUT, INACTIVE)
SIGN_IN = ("/accounts/login/", "/admin/login/")
WRITING = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Writing a line of each refusal is a third of the time that it takes."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def refused_as(role: str, answer: Any) -> bool:
    """Whether that is how who has this role is refused."""
    if role not in NOBODY:
        return answer.status_code in (403, 404)
    is_sign_in = answer.status_code in (301, 302) and answer["location"].startswith(SIGN_IN)
    return is_sign_in or answer.status_code in (400, 401, 403, 404, 405)


def send(world: World, role: str, one: Try, method: str, mine: Lab, theirs: Lab) -> Any:
    """Ask as the try says."""
    bearer = mine.tokens.get(email(role, mine.slug), "") if one.bearer else ""
    body = one.body(mine, theirs) if one.body else None
    return ask(world.clients[role, mine.slug], method, one.address(mine, theirs), form=one.form, body=body, bearer=bearer)


def state(world: World) -> dict[str, Any]:
    """All that a trespass could have changed, on the site and in S3."""
    found: dict[str, Any] = {}
    with connection.cursor() as cursor:
        for table, columns in ROWS.items():
            cursor.execute(f"SELECT {columns} FROM {table} ORDER BY id")  # noqa: S608
            found[table] = cursor.fetchall()
    s3 = boto3.client("s3", region_name="us-east-1")
    for bucket in (SHARED_BUCKET, *(lab.bucket for lab in world.labs.values())):
        versions: Any = s3.list_object_versions(Bucket=bucket)
        found[bucket] = [
            [(item["Key"], item["VersionId"]) for item in versions.get(kind, [])] for kind in ("Versions", "DeleteMarkers")
        ]
        found[bucket] += [upload["UploadId"] for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
    return found


@contextmanager
def nothing_happens(world: World, expected: Counter[tuple[str, str]]) -> Iterator[None]:
    """Neither group's things change, and the audit trail names no deed, and every refusal that is expected by then."""
    before, last = state(world), AuditEvent.objects.latest("pk").pk
    earlier = recorded()
    yield
    after = state(world)
    for name, rows in before.items():
        assert after[name] == rows, name
    assert list(AuditEvent.objects.filter(pk__gt=last, channel="web").exclude(action=REFUSED).values_list("actor", "action")) == []
    assert expected - (recorded() - earlier) == Counter()


def recorded() -> Counter[tuple[str, str]]:
    """How often who was refused what, by the audit trail."""
    counts: Counter[tuple[str, str]] = Counter()
    for actor, target, count in AuditEvent.objects.filter(action=REFUSED).values_list("actor", "target", "count"):
        counts[actor, target] += count
    return counts


def directions(world: World, draw: random.Random) -> list[tuple[Lab, Lab]]:
    """Whose people try what on whose things: one of both ways at a time, or both where there is time for it."""
    return world.others() if IS_SLOW_WANTED else [draw.choice(world.others())]


def test_every_address_of_the_site_is_in_the_tables() -> None:
    tried = {path.name for path in TRIES}
    nobodys = {name for names in (*NOBODYS.values(), *OPEN.values()) for name in names}
    there = [page for page in pages() if not page.route.startswith("admin/")]
    assert {page.name for page in there} == tried | nobodys | LISTS.keys()
    assert [page for page in there if page.name not in tried and not HARMLESS.issuperset(page.parameters)] == []


def test_nobody_gets_at_another_group_s_things_by_any_address(world: World) -> None:
    draw, expected, wrong = random.Random(SEED), Counter[tuple[str, str]](), []  # noqa: S311
    with nothing_happens(world, expected):
        for one, role in itertools.product(TRIES, EVERYBODY):
            if role == ADMINISTRATOR and one.by_right:
                continue
            for (mine, theirs), method in itertools.product(directions(world, draw), one.methods):
                answer, address = send(world, role, one, method, mine, theirs), one.address(mine, theirs)
                # A computer has a token of its owner's, who is in a group.
                asker = SIGNED_OUT if one.bearer and email(role, mine.slug) not in mine.tokens else role
                if not refused_as(asker, answer):
                    wrong.append((email(role, mine.slug), method, address, answer.status_code))
                elif asker not in NOBODY:
                    expected[email(role, mine.slug), f"{method} {address}"] += 1
    assert wrong == []
    assert len({who for who, _ in expected}) >= len(EVERYBODY) - len(NOBODY)


def test_the_wrong_method_is_no_way_around(world: World) -> None:
    draw, wrong = random.Random(SEED), []  # noqa: S311
    right = {(method, path.name) for path in TRIES for method in path.methods}
    with nothing_happens(world, Counter()):
        for one, method in itertools.product(TRIES, ("GET", *WRITING)):
            role = draw.choice([role for role in EVERYBODY if not (one.by_right and role == ADMINISTRATOR)])
            [(mine, theirs), *_] = directions(world, draw)
            if (method, one.name) not in right:
                answer = send(world, role, one, method, mine, theirs)
                if answer.status_code != 405 and not refused_as(role, answer):
                    wrong.append((role, method, one.address(mine, theirs), answer.status_code))
    assert wrong == []


def test_the_administration_is_for_administrators(world: World) -> None:
    draw, expected, wrong = random.Random(SEED), Counter[tuple[str, str]](), []  # noqa: S311
    with nothing_happens(world, expected):
        for role in EVERYBODY:
            for mine, theirs in directions(world, draw):
                for address in administration(theirs).values():
                    for method in ("GET", "POST") if IS_SLOW_WANTED else (draw.choice(("GET", "POST")),):
                        if role == ADMINISTRATOR:
                            continue
                        answer = ask(world.clients[role, mine.slug], method, address)
                        # Django leads whoever has no session, and signs out, to the front page, which asks for a sign-in.
                        is_led_on = role in NOBODY and address == "/admin/logout/" and answer.status_code == 302
                        if not (refused_as(role, answer) or is_led_on):
                            wrong.append((role, method, address, answer.status_code, answer.get("location", "")))
                        elif role not in NOBODY:
                            expected[email(role, mine.slug), f"{method} {address}"] += 1
    assert wrong == []


def test_what_is_an_administrator_s_by_right_is_open_to_them(world: World) -> None:
    for mine, theirs in world.others():
        for path in TRIES:
            if path.by_right and "GET" in path.methods:
                assert send(world, ADMINISTRATOR, path, "GET", mine, theirs).status_code == 200, path.name


def test_who_is_not_signed_in_gets_to_no_page_of_one_s_own(world: World) -> None:
    wrong = []
    [(mine, _), *_] = world.others()
    with nothing_happens(world, Counter()):
        for name in (*LISTS, *(name for names in NOBODYS.values() for name in names)):
            address = f"/{name}" if "/" in name else reverse(name)
            for role, method in itertools.product(NOBODY, ("GET", "POST")):
                answer = ask(world.clients[role, mine.slug], method, address)
                is_led_on = name in LEADING_ON and answer.status_code in (301, 302)
                if not (refused_as(role, answer) or is_led_on):
                    wrong.append((role, name, method, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("role", [MANAGER, SIGNED_OUT])
def test_what_is_open_to_all_tells_nobody_of_a_group(world: World, role: str) -> None:
    [(mine, theirs), *_] = world.others()
    for name in (name for names in OPEN.values() for name in names):
        page = next(path for path in pages() if path.name == name)
        if not page.parameters and name != "account_logout":
            answer = ask(world.clients[role, mine.slug], "GET", f"/{page.route}")
            told = b"".join(answer) if answer.streaming else answer.content
            # What a load balancer asks tells that the worker is away, which it is here.
            assert answer.status_code == 503 if name == "health:readyz" else answer.status_code < 500, name
            for secret in (theirs.slug, theirs.name, theirs.bucket, theirs.username):
                assert secret.encode() not in told, (name, secret)

"""Nobody gets at another group's things: every action on S3 by every role, and a drawn part of all pages and calls of the API.

The whole table of those is tried in one process, by `tests.control_plane.test_every_address`.

An administrator is a member of one group here, and tries the other's. People, groups, deployments and requests are theirs by
right; files, uploads, credentials and keys are not.

What the site refuses is in its audit trail, and is looked up there. What AWS refuses happens at AWS, where a browser and a
computer go straight to: Cohort does not see it, and CloudTrail has it (S3's data events, where they are switched on).
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.urls import reverse

from tests.e2e.intruder import let_through
from tests.e2e.site import Site
from tests.e2e.tries import LEADING_ON, LISTS, TRIES, Try, signed_out_addresses
from tests.e2e.two_labs import SHARED, SHARED_BUCKET, Lab, Labs
from tests.e2e.two_labs_rows import ADMINISTRATOR, ASKER, FEDERATED, FORMER, KEYS, MANAGER, ROLES, email
from tests.e2e.visitor import Answer, Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PRESENT = (ADMINISTRATOR, MANAGER, FEDERATED, KEYS)
REFUSED = (403, 404)
# Six times fifty requests: four roles, somebody who was removed, and somebody who is not signed in.
SEED, DRAWN = 20_240_611, 50


@pytest.fixture(scope="module")
def labs(site: Site) -> Labs:
    return Labs.found(site)


@contextmanager
def nothing_happens(labs: Labs) -> Iterator[None]:
    """Neither group's things change on the site or in S3, and the audit trail names no deed, only refusals."""
    before, event = labs.snapshot(), labs.last_event()
    yield
    after = labs.snapshot()
    for name, rows in before.items():
        assert after[name] == rows, name
    assert labs.deeds(event) == []


def send(visitor: Visitor, one: Try, method: str, mine: Lab, theirs: Lab, bearer: str = "") -> Answer:
    """Ask as the try says."""
    body = one.body(mine, theirs) if one.body else None
    return visitor.ask(method, one.address(mine, theirs), form=one.form, body=body, bearer=bearer)


def drawn(labs: Labs, role: str) -> list[tuple[Lab, Lab, Try, str]]:
    """What this role tries through the front door: a drawn part of what `test_every_address` tries in one process."""
    all_of_it = [
        (mine, theirs, item, method)
        for mine, theirs in labs.others()
        for item in TRIES
        for method in item.methods
        if not (role == ADMINISTRATOR and item.by_right)
    ]
    return random.Random(f"{SEED} {role}").sample(all_of_it, DRAWN)  # noqa: S311


@pytest.mark.parametrize("role", PRESENT)
def test_a_page_or_call_for_another_group_s_things_is_refused_and_on_record(labs: Labs, role: str) -> None:
    earlier, expected, wrong = labs.refusals(), Counter[tuple[str, str]](), []
    with nothing_happens(labs):
        for mine, theirs, one, method in drawn(labs, role):
            who, address = email(role, mine.slug), one.address(mine, theirs)
            answer = send(labs.visitors[who], one, method, mine, theirs, mine.tokens[who] if one.bearer else "")
            if answer.status not in REFUSED:
                wrong.append((who, method, address, answer.status, answer.text[:200]))
            expected[who, f"{method} {address}"] += 1
    assert wrong == []
    assert expected - (labs.refusals() - earlier) == Counter()


def test_another_site_s_page_gets_nothing_done_in_somebody_s_name(labs: Labs) -> None:
    wrong = []
    mine, theirs = labs.others()[0]
    visitor = labs.visitors[email(MANAGER, mine.slug)]
    with nothing_happens(labs):
        for path in TRIES:
            if "POST" in path.methods and not path.bearer:
                body = path.body(theirs, mine) if path.body else None
                answer = visitor.ask("POST", path.address(theirs, mine), form=path.form, body=body, forged=True)
                if answer.status != 403:
                    wrong.append((path.name, answer.status))
    assert wrong == []


@pytest.mark.parametrize("role", [role for role in PRESENT if role != ADMINISTRATOR])
def test_lists_tell_nothing_of_another_group(labs: Labs, role: str) -> None:
    for mine, theirs in labs.others():
        visitor = labs.visitors[email(role, mine.slug)]
        filters = f"?group={theirs.slug}&person={ASKER}&analysis={theirs.analysis}"
        addresses = [f"{reverse(name)}{query}" for name in LISTS for query in ("", filters)]
        addresses.append(f"{reverse('credentials:page', args=(mine.slug,))}?analysis={theirs.analysis}")
        for address in addresses:
            answer = visitor.ask("GET", address)
            assert answer.status == (403 if address.startswith("/requests/") and role != MANAGER else 200), address
            # What was asked for stands in the form's fields.
            told = answer.text.replace(f'value="{theirs.slug}"', "").replace(f'value="{ASKER}"', "")
            for secret in (theirs.slug, theirs.name, theirs.bucket, theirs.username):
                assert secret not in told, (address, secret)


@pytest.mark.parametrize("verb", ["finish", "remove"])
@pytest.mark.parametrize("role", PRESENT)
def test_uploads_guessed_by_their_number_are_not_touched_and_the_guess_is_on_record(labs: Labs, role: str, verb: str) -> None:
    for mine, theirs in labs.others():
        who, earlier, unknown = email(role, mine.slug), labs.refusals(), 10**6
        # One's own group's is somebody else's as well, but for the one who began it.
        numbers = [theirs.upload, unknown, *([] if role == FEDERATED else [mine.upload])]
        body: dict[str, object]
        if verb == "finish":
            body = {"files": [{"id": number, "checksum": "AAAAAA==", "etag": ""} for number in numbers]}
        else:
            body = {"ids": numbers}
        with nothing_happens(labs):
            answer = labs.visitors[who].ask("POST", f"/api/uploads/{mine.slug}/{SHARED}/{verb}", body=body)
        if verb == "remove":
            assert answer.document == {"removed": 0}
        else:
            # Nobody learns which numbers there are.
            assert len({(row["state"], row["detail"]) for row in answer.document}) == 1
        assert labs.refusals() - earlier == {(who, f"uploads to s3://{SHARED_BUCKET}/{mine.slug}/"): 1}


@pytest.mark.parametrize("role", PRESENT)
def test_no_upload_begins_outside_the_group_s_own_folder(labs: Labs, role: str) -> None:
    for mine, theirs in labs.others():
        who, earlier = email(role, mine.slug), labs.refusals()
        address = f"/api/uploads/{mine.slug}/{SHARED}/start"
        file: dict[str, object] = {"path": "a.txt", "size": 20 * 2**20, "modified": 1}
        with nothing_happens(labs):
            folders = (f"../{theirs.slug}/inputs", f"inputs/../../{theirs.slug}/inputs", f"/{theirs.slug}/inputs", theirs.slug)
            for folder in folders:
                assert labs.visitors[who].ask("POST", address, body={"folder": folder, "files": [file]}).status == 422, folder
            paths = (f"../../{theirs.slug}/inputs/a.txt", f"../{theirs.slug}/a.txt", f"/{theirs.slug}/inputs/a.txt")
            files = [file | {"path": path} for path in paths]
            answer = labs.visitors[who].ask("POST", address, body={"folder": "inputs", "files": files})
            assert [item["status"] for item in answer.document] == ["refused"] * len(paths)
        assert (labs.refusals() - earlier)[who, f"POST {address}"] == len(folders)


def test_who_is_not_signed_in_gets_nowhere(labs: Labs) -> None:
    visitor, earlier = Visitor(labs.site.url), labs.refusals()
    mine, theirs = labs.others()[0]
    wrong = []
    asked = itertools.product(signed_out_addresses(mine, theirs).items(), ("GET", "POST"))
    with nothing_happens(labs):
        for (name, address), method in random.Random(SEED).sample(list(asked), DRAWN):  # noqa: S311
            answer = visitor.ask(method, address)
            is_sign_in = answer.status in (301, 302) and answer.location.startswith(("/accounts/login/", "/admin/login/"))
            is_led_on = answer.status in (301, 302) and name in (*LEADING_ON, "admin:logout")
            if not (is_sign_in or is_led_on or answer.status in (400, 401, 403, 404, 405)):
                wrong.append((name, method, answer.status, answer.location))
    assert wrong == []
    assert labs.refusals() == earlier


@pytest.mark.parametrize("role", PRESENT)
def test_no_session_and_no_key_reaches_another_group_s_files(labs: Labs, role: str) -> None:
    held = [(mine, theirs, labs.keys(role, mine)) for mine, theirs in labs.others()]
    with nothing_happens(labs):
        wrong = [item for mine, theirs, keys in held for item in let_through(labs.site, keys, mine, theirs)]
    assert wrong == []


def test_who_was_removed_is_as_far_away_as_anybody(labs: Labs) -> None:
    lab, other = labs.curie, labs.noether
    who = email(FORMER, lab.slug)
    held = labs.keys(FORMER, lab)
    s3 = labs.site.client("s3", held["browse"])
    assert s3.list_objects_v2(Bucket=SHARED_BUCKET, Prefix=f"{lab.slug}/")["KeyCount"]
    labs.site.must("member", "remove", lab.slug, who, "--wait")
    earlier, expected, wrong = labs.refusals(), Counter[tuple[str, str]](), []
    with nothing_happens(labs):
        for _, _, one, method in drawn(labs, FORMER):
            # Their own group is the other group now.
            answer = send(labs.visitors[who], one, method, other, lab, lab.tokens[who] if one.bearer else "")
            address = one.address(other, lab)
            if answer.status not in REFUSED:
                wrong.append((method, address, answer.status, answer.text[:200]))
            expected[who, f"{method} {address}"] += 1
        through = let_through(labs.site, held, other, lab)
    assert wrong == []
    assert through == []
    assert expected - (labs.refusals() - earlier) == Counter()


def test_every_role_has_its_own_place(labs: Labs) -> None:
    """What is refused above is refused because it is the others': in their own group the same people get in."""
    for lab in (labs.curie, labs.noether):
        for role in ROLES:
            visitor = labs.visitors[email(role, lab.slug)]
            if role == FORMER:
                continue
            assert visitor.ask("GET", f"/groups/{lab.slug}/").status == 200
            assert visitor.ask("GET", f"/groups/{lab.slug}/files/{lab.analysis}/").status == 200
            credentials = labs.keys(role, lab)
            for kind, one in credentials.items():
                s3 = labs.site.client("s3", one)
                body = s3.get_object(Bucket=SHARED_BUCKET, Key=lab.secret)["Body"].read()
                assert body == f"of {lab.slug} alone".encode(), kind

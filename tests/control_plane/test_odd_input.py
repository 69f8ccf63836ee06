"""Whatever somebody sends to whatever address ends in a message of ours, never in an error of the server's."""

import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from django.core.signals import got_request_exception
from django.db import transaction
from django.test import Client

from control_plane.base import documentation
from tests.control_plane.account_pages import Answer
from tests.e2e import two_labs_rows as rows
from tests.e2e.two_labs import SHARED, SLUGS, Lab
from tests.fuzzing import Fuzzer, Request, addresses
from tests.slow import IS_SLOW_WANTED
from tests.world import ALONE, SIGNED_OUT, World, world

__all__ = ["world"]

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(3600)]

SEED = 20_240_611
# Requests to each address: by default some 1,300 in all, within a quarter of a minute.
ROUNDS = 60 if IS_SLOW_WANTED else 5
# Who asks, in turn: mostly those who get far.
WHO = (rows.ADMINISTRATOR, rows.MANAGER, rows.ADMINISTRATOR, rows.FEDERATED, rows.MANAGER, rows.KEYS, ALONE)


@pytest.fixture
def built_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.html").write_text("<p>Documentation</p>")
    monkeypatch.setattr(documentation, "SITE", tmp_path)


@contextmanager
def undone(client: Client) -> Iterator[None]:
    """What happens within has not happened afterwards, to the site or to this browser."""
    before = deepcopy(client.cookies)
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    client.cookies = before


def known(lab: Lab) -> dict[str, tuple[Any, ...]]:
    """What addresses and parameters mean in this group."""
    kinds = ("group", "stack", "deployment", "membership", "person", "code", "request", "asked", "preview", "passkey")
    numbers = tuple(getattr(lab, kind) for kind in kinds)
    return {
        "slug": (lab.slug, lab.analysis, SHARED),
        "group": (lab.slug,),
        "group_slug": (lab.slug,),
        "analysis": (SHARED, lab.analysis),
        "name": ("secret", lab.stack_name),
        "pk": numbers,
        "object_id": numbers,
        "id": numbers,
        "_selected_action": numbers,
        "content_type_id": (1, 5),
        "timestamp": (lab.job,),
        "username": (lab.username,),
        "computer": (lab.computer,),
        "session_id": (lab.session,),
        "token": (lab.address_link,),
        "signed": (lab.job_link,),
        "provider_id": ("institution",),
        "app_label": ("groups", "accounts"),
        "action": ("add_to_group", "suspend", "activate", "send_password_link", "delete_selected", "grant_several"),
        "wish": ("suspend", "resume", "remove"),
        "decision": ("approve", "decline"),
        "level": ("read-write", "read-only"),
        "access": ("federated", "keys"),
        "mode": ("text", "fields"),
        "email": ("ada@example.org", rows.email(rows.MANAGER, lab.slug)),
        "path": ("inputs/", ""),
        "next": ("/", "2", "//x", "/groups/"),
        "format": ("csv", "jsonl"),
        "version": (lab.version,),
    }


def who(route: str, number: int) -> str:
    """Who asks there. Who is signed out gets nowhere but where one signs in."""
    if route.startswith(("accounts/", "identity/")) and number % 2:
        return SIGNED_OUT
    return rows.ADMINISTRATOR if route.startswith("admin/") else WHO[number % len(WHO)]


def send(client: Client, request: Request) -> Answer:
    """Send it, and read the whole answer."""
    more: dict[str, Any] = {"headers": request.headers}
    if isinstance(request.body, dict):
        answer = client.post(request.path, request.body, **more)
    else:
        answer = client.generic(request.method, request.path, request.body, request.content_type, **more)
    if answer.streaming:
        answer.getvalue()
    return answer


class Raised:
    """What views raised and nobody caught."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, sender: Any, **_: Any) -> None:
        _kind, error, trace = sys.exc_info()
        ours = [frame for frame in traceback.extract_tb(trace) if "site-packages" not in frame.filename]
        self.last = f"{type(error).__name__}: {str(error)[:200]} at {[f'{frame.filename}:{frame.lineno}' for frame in ours][-2:]}"


def test_no_odd_request_to_any_address_is_an_error_of_the_server_s(world: World, built_docs: None) -> None:
    raised, answered = Raised(), Counter[int]()
    found: dict[str, str] = {}
    got_request_exception.connect(raised)
    fuzzer = Fuzzer(SEED, known(world.labs[SLUGS[0]]))
    for turn in range(ROUNDS):
        for number, address in enumerate(addresses()):
            request = fuzzer.request(address)
            client = world.clients[who(address.route, turn + number), SLUGS[0]]
            with undone(client):
                answer = send(client, request)
            fuzzer.note(address, answer.get("Allow", ""))
            status = answer.status_code
            answered[status] += 1
            # 503 says when to come back: AWS, or what is sent just now.
            if status >= 500 and status != 503:
                found.setdefault(raised.last or str(status), str(request))
    got_request_exception.disconnect(raised)
    # Enough of them got far enough for an error to be possible.
    assert answered[200] > ROUNDS * 10
    assert not found, "\n\n".join(f"{error}\n  {request}" for error, request in found.items())


# What was found by hand or by the seed: the method, the address, what is sent there, and the answer.
ONCE_ERRORS: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    # A word without a slash was taken for the name of a page.
    ("POST", "/requests/{lab.request}/decline/", {"note": "no", "next": "2"}, 302),
    ("GET", f"/docs/{'x' * 300}", {}, 404),
    ("GET", f"/docs/{'x' * 300}/", {}, 404),
    ("GET", "/admin/groups/group/x/grant-row/", {}, 404),
    ("GET", "/admin/groups/group/x/.../suspend-row/", {}, 404),
    ("GET", "/admin/groups/analysis/x/retire-row/", {}, 404),
    ("GET", "/admin/groups/group/{lab.group}/change/", {"_to_field": ""}, 200),
    ("GET", "/admin/search/", {"s": "a", "page": "x"}, 404),
    ("GET", "/admin/search/", {"s": "a", "page": "99"}, 404),
    ("GET", "/admin/accounts/user/suspend/", {"id": "9" * 30}, 302),
    ("GET", "/accounts/deleted/", {"groups": "9" * 5000}, 200),
    ("GET", "/accounts/login/", {"next": "http://[::1"}, 400),
    ("POST", "/accounts/password/reset/", {"next": "http://[::1", "email": "ada@example.org"}, 400),
    ("JSON", "/api/uploads/{lab.slug}/{shared}/finish", {"files": [{"id": 10**30, "checksum": "", "etag": ""}]}, 400),
    ("JSON", "/api/uploads/{lab.slug}/{shared}/remove", {"ids": [2**63]}, 400),
)


def test_what_was_an_error_once_is_answered(world: World, built_docs: None) -> None:
    lab, wrong = world.labs[SLUGS[0]], []
    for method, path, sent, status in ONCE_ERRORS:
        address = path.format(lab=lab, shared=SHARED)
        client = world.clients[rows.ADMINISTRATOR, SLUGS[0]]
        with undone(client):
            if method == "JSON":
                answer = client.post(address, sent, content_type="application/json")
            else:
                answer = getattr(client, method.lower())(address, sent)
        if answer.status_code != status:
            wrong.append((method, address[:100], answer.status_code))
    assert wrong == []

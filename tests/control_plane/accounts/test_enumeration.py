"""Nobody learns from an answer, or from the time that it takes, which addresses have an account: that is told by e-mail alone."""

import re
import time
from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from django.contrib.auth import hashers
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from control_plane.access.groups.models import JoinRequest
from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from tests.control_plane.account_pages import delivered, text_of
from tests.factories import PASSWORD, PasswordUserFactory
from tests.slow import slow

Ask = Callable[[Client, str], Any]
WRITES = re.compile(r'^(INSERT INTO|UPDATE|DELETE FROM) "(\w+)"')


def sign_in_wrongly(client: Client, email: str) -> Any:
    return client.post("/accounts/login/", {"login": email, "password": "guessed it"})


def ask_for_a_password(client: Client, email: str) -> Any:
    return client.post("/accounts/password/reset/", {"email": email})


def sign_up(client: Client, email: str) -> Any:
    form = {"name": "Lise Meitner", "password1": PASSWORD, "password2": PASSWORD, "use_code": "false"}
    return client.post("/accounts/signup/", form | {"email": email, "requested_group": f"Lab of {email.split('@')[0]}"})


ALL = pytest.mark.parametrize("ask", [sign_in_wrongly, ask_for_a_password, sign_up])


def work_of(ask: Ask, email: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, Counter[str]]:
    """What an answer costs: passwords hashed, e-mails sent, and writes by table, but for sessions and limits."""
    cache.clear()
    hashed: list[int] = []
    sent = len(delivered())
    kind = type(hashers.get_hasher())
    encode = kind.encode

    def counting(self: Any, *args: Any, **more: Any) -> str:
        hashed.append(1)
        return encode(self, *args, **more)

    with (
        monkeypatch.context() as patched,
        CaptureQueriesContext(
            connection,
        ) as queries,
    ):
        patched.setattr(kind, "encode", counting)
        ask(Client(), email)
    written = [found for query in queries.captured_queries if (found := WRITES.match(query["sql"]))]
    tables = Counter(f"{found[1]} {found[2]}" for found in written if found[2] not in ("accounts_cache", "django_session"))
    return len(hashed), len(delivered()) - sent, tables


@ALL
@pytest.mark.django_db
def test_a_known_and_an_unknown_address_cost_the_same_work(ask: Ask, monkeypatch: pytest.MonkeyPatch, at_once: None) -> None:
    PasswordUserFactory.create()
    known, unknown = work_of(ask, "ada@example.org", monkeypatch), work_of(ask, "nobody@example.org", monkeypatch)
    assert known == unknown
    assert known[0] == (0 if ask is ask_for_a_password else 1)
    assert known[1] == (0 if ask is sign_in_wrongly else 1)


@ALL
@pytest.mark.django_db
def test_a_known_and_an_unknown_address_get_the_same_answer(ask: Ask, at_once: None) -> None:
    PasswordUserFactory.create()
    known, unknown = ask(Client(), "ada@example.org"), ask(Client(), "nobody@example.org")
    assert (known.status_code, known.get("location")) == (unknown.status_code, unknown.get("location"))
    assert text_of(known).replace("ada", "X") == text_of(unknown).replace("nobody", "X")


@pytest.mark.django_db
def test_the_work_that_is_done_for_nothing_leaves_no_trace(at_once: None) -> None:
    PasswordUserFactory.create()
    before = AuditEvent.objects.count()
    sign_up(Client(), "ada@example.org")
    sign_in_wrongly(Client(), "nobody@example.org")
    assert list(User.objects.values_list("email", flat=True)) == ["ada@example.org"]
    assert not JoinRequest.objects.exists()
    assert AuditEvent.objects.count() == before
    assert [message.to for message in delivered()] == [["ada@example.org"]]


class Hasher(hashers.PBKDF2PasswordHasher):
    """The product's own, with fewer rounds: a hash that one side lacks takes several times the ten milliseconds all the same."""

    iterations = 100_000


@slow
@ALL
@pytest.mark.django_db(transaction=True)
def test_the_medians_of_fifty_tries_lie_within_ten_milliseconds(ask: Ask, settings: Any) -> None:
    """In processor time, which other programs on the machine do not lengthen; what is written is counted above."""
    settings.PASSWORD_HASHERS = [f"{__name__}.Hasher"]
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(51):
        PasswordUserFactory.create(email=f"known{number}@example.org")
        for is_known in (number % 2 == 0, number % 2 == 1):
            cache.clear()
            client, email = Client(), f"{'known' if is_known else 'other'}{number}@example.org"
            began = time.thread_time()
            ask(client, email)
            took[is_known].append(time.thread_time() - began)
    known, unknown = (median(took[is_known][1:]) for is_known in (True, False))
    assert abs(known - unknown) < 0.010, f"known {known * 1000:.1f} ms, unknown {unknown * 1000:.1f} ms"

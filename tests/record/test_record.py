"""The record of behaviour: a difference is found wherever it is planted, and a record of nothing is refused."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from django.conf import LazySettings
from django.http import HttpResponse
from django.urls import get_resolver, path

from tests import environment
from tests.control_plane.conftest import at_once
from tests.e2e.tries import pages
from tests.record import account_mails, code, documents, mails, product, urls
from tests.record.normalise import normalise
from tests.record.running import Site
from tests.record.shapes import shape
from tests.record.stories import person
from tests.world import World, world

__all__ = ["at_once", "world"]

pytestmark = pytest.mark.django_db
HEALTH, PLANTED = "health:page", "planted"


def changes(before: documents.Record, now: documents.Record) -> list[str]:
    """The lines that differ, without what stands around them."""
    found = list(documents.differences(before, now))
    return [line for line in found if line.startswith(("+", "-")) and not line.startswith(("+++", "---"))]


def plant(settings: LazySettings, *patterns: object) -> None:
    """Have the site answer these addresses too, before its own."""
    planted = ModuleType("planted_urls")
    planted.urlpatterns = [*patterns, *get_resolver().url_patterns]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = planted


def test_an_address_that_is_answered_to_other_roles_is_a_difference(world: World, settings: LazySettings) -> None:
    before = {"urls.txt": urls.addresses(world, {HEALTH})}
    assert "another's GET /health/: 200 administrator; " in before["urls.txt"]
    assert changes(before, {"urls.txt": urls.addresses(world, {HEALTH})}) == []
    plant(settings, path("health/", lambda request: HttpResponse("everybody may see it")))
    removed: list[str] = []
    added: list[str] = []
    for line in changes(before, {"urls.txt": urls.addresses(world, {HEALTH})}):
        (added if line.startswith("+") else removed).append(line[1:])
    assert any("GET /health/: 200 administrator;" in line for line in removed)
    assert any("GET /health/: 200 administrator manager federated" in line and "signed-out" in line for line in added)


def test_a_new_address_is_a_difference(world: World, settings: LazySettings) -> None:
    before = {"urls.txt": urls.addresses(world, {PLANTED, "healthz"})}
    plant(settings, path("planted/", lambda request: HttpResponse(), name=PLANTED))
    found = changes(before, {"urls.txt": urls.addresses(world, {PLANTED, "healthz"})})
    assert "+/planted/  [planted]  " in found
    assert {PLANTED} == {page.name for page in pages() if page.route == "planted/"}


@pytest.mark.usefixtures("at_once")
def test_an_e_mail_with_another_subject_is_a_difference(settings: LazySettings) -> None:
    person(account_mails.KNOWN)
    story = (account_mails.forget_the_password,)
    before = mails.recorded(Site(), story, "accounts")
    [text] = before.values()
    assert "http://localhost:8000/accounts/password/reset/key/<token>/" in text
    assert mails.recorded(Site(), story, "accounts") == before
    settings.ACCOUNT_EMAIL_SUBJECT_PREFIX = "Planted: "
    assert changes(before, mails.recorded(Site(), story, "accounts")) == [
        "-Subject: Set a new password",
        "+Subject: Planted: Set a new password",
    ]


@pytest.mark.usefixtures("at_once")
def test_an_e_mail_that_nobody_gets_any_more_is_told(settings: LazySettings) -> None:
    settings.ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
    with pytest.raises(AssertionError, match="nobody is told when Somebody has forgotten"):
        mails.recorded(Site(), (account_mails.forget_the_password,), "accounts")


def test_a_key_that_a_document_has_lost_or_that_has_another_type_is_a_difference() -> None:
    assert shape({"a": 1, "b": [{"c": None}, {"c": "x", "d": True}]}) == {
        "a": "number",
        "b": [{"c": "null | string", "d?": "boolean"}],
    }
    assert shape({"a": 1}) != shape({"a": "1"}) != shape({})


def test_a_record_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(documents.Empty, match=r"nothing is recorded of tasks"):
        documents.write({"settings.txt": "one\n"}, tmp_path, ("settings", "tasks"))
    with pytest.raises(documents.Empty, match=r"nothing is recorded in mails/accounts/01-sign-up\.txt"):
        documents.check({"mails/accounts/01-sign-up.txt": " \n"}, ("mails",))


def test_what_does_not_change_from_run_to_run_is_recorded_as_it_is() -> None:
    sentence = "Group-example-lab: 3 members of 2 groups, at 10 o'clock; see http://localhost:8000/groups/example-lab/."
    assert normalise(sentence) == sentence
    assert normalise("deployment 7 at 2026-01-02T03:04:05.6Z of mabcdefghijk") == "deployment <number> at <moment> of <username>"


def test_the_command_ends_with_1_where_something_differs_and_shows_it(tmp_path: Path) -> None:
    record = code.settings() | code.schema()
    planted = record["settings.txt"].replace("Django's signing key.", "A planted description.")
    documents.write(record | {"settings.txt": planted}, tmp_path, ("settings", "schema"))
    line = [sys.executable, "-m", "tests.record", "--compare", str(tmp_path), "--only", "settings", "schema"]
    compared = subprocess.run(line, cwd=product.ROOT, env=environment.as_dict(), capture_output=True, text=True)
    assert compared.returncode == 1
    assert "-    A planted description.\n+    Django's signing key.\n" in compared.stdout
    assert "schema" not in compared.stdout

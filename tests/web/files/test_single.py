"""The file that the site itself sends, since no browser can ask S3 for it: that very object, or a clear refusal."""

from typing import Any

import pytest
from django.test import Client

from control_plane.base.audit.models import AuditEvent
from control_plane.research.files.concurrency import MAX_AT_ONCE, SendingSlot
from control_plane.research.files.single import MAX_FIRST_BYTES, download_name
from tests.labs import BUCKET, Lab
from tests.web.files.test_pages import PAGE

pytestmark = pytest.mark.django_db

DOTS = ["./x", "../inputs/x", "a/../x", "..", "day/.", "./"]


def ask(client: Client, key: str, **more: Any) -> Any:
    return client.get(f"{PAGE}one/", {"key": key, **more})


@pytest.mark.parametrize("key", DOTS)
def test_a_key_with_a_dot_segment_brings_that_object_and_no_other(lab: Lab, key: str) -> None:
    lab.put("example-lab/inputs/x", "example-lab/inputs/day", "example-lab/inputs/", "example-lab", body=b"another")
    lab.put(whole := f"example-lab/inputs/{key}", body=b"DOT")
    answer = ask(lab.client, whole)
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content) == b"DOT"
    assert answer["Content-Length"] == "3"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Type"] == "application/octet-stream"
    assert AuditEvent.objects.get(action="files.download").details == {"bucket": BUCKET, "prefix": whole, "count": 1, "bytes": 3}


@pytest.mark.parametrize("key", DOTS)
def test_a_preview_brings_the_beginning_of_that_object_and_no_other(lab: Lab, key: str) -> None:
    lab.put("example-lab/inputs/x", "example-lab/inputs/day", "example-lab/inputs/", body=b"another")
    lab.put(whole := f"example-lab/inputs/{key}", body=b"DOT" * MAX_FIRST_BYTES)
    assert ask(lab.client, whole, first=5).content == b"DOTDO"
    assert len(ask(lab.client, whole, first=999_999).content) == MAX_FIRST_BYTES
    lab.put(whole, body=b"")
    assert ask(lab.client, whole, first=5).content == b""


@pytest.mark.parametrize("first", ["-1", "1e3", "x", "٣", "9" * 30])
def test_a_preview_of_no_number_of_bytes_is_refused(lab: Lab, first: str) -> None:
    lab.put("example-lab/inputs/./x")
    assert ask(lab.client, "example-lab/inputs/./x", first=first).status_code == 400


@pytest.mark.parametrize("more", [{}, {"first": 5}])
def test_what_is_not_there_is_said_although_another_object_is(lab: Lab, more: dict[str, Any]) -> None:
    lab.put("example-lab/inputs/x")
    answer = ask(lab.client, "example-lab/inputs/./x", **more)
    assert answer.status_code == 404
    assert "example-lab/inputs/./x is not there any more" in answer.content.decode()


@pytest.mark.parametrize("more", [{}, {"first": 5}])
@pytest.mark.parametrize(
    "key", ["", "x", "other-lab/inputs/a", "example-lab/inputs/../../other-lab/inputs/a", "example-lab/../x", "example-lab"]
)
def test_a_key_outside_the_group_s_folder_is_refused_and_on_record(lab: Lab, key: str, more: dict[str, Any]) -> None:
    lab.put("other-lab/inputs/a", "x", "example-lab")
    assert ask(lab.client, key, **more).status_code == 403
    assert AuditEvent.objects.filter(action="access.refused").count() == 1


def test_strangers_get_no_file(lab: Lab, stranger: Client) -> None:
    lab.put("example-lab/inputs/./x")
    assert ask(stranger, "example-lab/inputs/./x").status_code == 404
    assert ask(Client(), "example-lab/inputs/./x").status_code == 302


def test_a_file_waits_its_turn_and_gives_it_back(lab: Lab) -> None:
    lab.put("example-lab/inputs/./x")
    taken = [SendingSlot() for _ in range(MAX_AT_ONCE)]
    answer = ask(lab.client, "example-lab/inputs/./x")
    assert answer.status_code == 503
    assert answer["Retry-After"]
    for item in taken:
        item.close()
    for _ in range(MAX_AT_ONCE + 1):
        assert b"".join(ask(lab.client, "example-lab/inputs/./x")) == b"trace"


@pytest.mark.parametrize(
    ("key", "name"), [("lab/a/./x.txt", "x.txt"), ("lab/a/", "a"), ("lab/a/..", "__"), ("lab/a/./", "_"), ("lab/a\\b", "a_b")]
)
def test_a_file_is_saved_under_a_name_that_leads_nowhere(key: str, name: str) -> None:
    assert download_name(key) == name

"""Many files as one zip: the same bytes, safe names, and never half a zip that looks whole."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ResponseStreamingError
from django.test import Client

from control_plane.base.audit.models import AuditEvent
from control_plane.research.files import archive, concurrency
from control_plane.research.files.archive import safe_names
from control_plane.research.storage import objects
from control_plane.research.storage.objects import BrokenTransfer
from tests.labs import BUCKET, Lab
from tests.web.files.test_pages import PAGE

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _all_slots_are_given_back() -> Iterator[None]:
    yield
    taken = [concurrency._slots.acquire(blocking=False) for _ in range(concurrency.MAX_AT_ONCE)]
    for _ in filter(None, taken):
        concurrency._slots.release()
    assert all(taken)


def ask(lab: Lab, path: str, keys: Any) -> Any:
    return lab.client.post(f"{PAGE}zip/", {"path": path, "keys": keys if isinstance(keys, str) else json.dumps(keys)})


def unpack(answer: Any) -> dict[str, bytes]:
    content = b"".join(answer.streaming_content)
    assert len(content) == int(answer["Content-Length"])
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert opened.testzip() is None
        return {info.filename: opened.read(info) for info in opened.infolist()}


def test_a_folder_comes_whole_with_its_own_names(lab: Lab) -> None:
    lab.put("example-lab/inputs/day 1/Ünï 😀.txt", body="é".encode())
    lab.put("example-lab/inputs/day 1/deep/large.bin", body=b"x" * 3_000_000)
    lab.put("example-lab/inputs/day 1/empty", "example-lab/inputs/day 1/nothing/", body=b"")
    lab.put(
        "example-lab/inputs/day 10/other", "example-lab/inputs/day 1/update.txt", "example-lab/inputs/day 1/internal_ec2_logs/x"
    )
    answer = ask(lab, "inputs/day 1/", [""])
    assert 'filename="day 1.zip"' in answer["Content-Disposition"]
    assert unpack(answer) == {
        "Ünï 😀.txt": "é".encode(),
        "deep/large.bin": b"x" * 3_000_000,
        "empty": b"",
        "nothing/": b"",
    }
    event = AuditEvent.objects.get(action="files.download")
    assert event.details == {"bucket": BUCKET, "prefix": "example-lab/inputs/day 1/", "count": 4, "bytes": 3_000_002}


def test_a_choice_of_files_and_folders_comes_with_nothing_else(lab: Lab) -> None:
    lab.put("example-lab/inputs/a", "example-lab/inputs/b", "example-lab/inputs/c/d", "example-lab/inputs/cc")
    assert set(unpack(ask(lab, "inputs/", ["a", "c/", "c/d"]))) == {"a", "c/d"}


def test_keys_with_dot_segments_come_with_their_own_content_and_stay_below_the_folder(lab: Lab) -> None:
    for key in ("x", "./x", "../odd/x", "day/..", "day/."):
        lab.put(f"example-lab/inputs/odd/{key}", body=key.encode())
    whole = {"x": b"x", "_/x": b"./x", "__/odd/x": b"../odd/x", "day/__": b"day/..", "day/_": b"day/."}
    assert unpack(ask(lab, "inputs/odd/", [""])) == whole
    assert unpack(ask(lab, "inputs/odd/", ["./x", "x"])) == {"_/x": b"./x", "x": b"x"}
    assert unpack(ask(lab, "inputs/odd/./", ["x"])) == {"x": b"./x"}


def test_a_folder_s_marker_that_has_content_is_in_the_zip(lab: Lab) -> None:
    lab.put("example-lab/inputs/day/", body=b"of the folder")
    lab.put("example-lab/inputs/day/deep/", body=b"deeper")
    lab.put("example-lab/inputs/day/deep/a", body=b"a")
    assert unpack(ask(lab, "inputs/", ["day/"])) == {"day/_": b"of the folder", "day/deep/_": b"deeper", "day/deep/a": b"a"}
    lab.put("example-lab/inputs/day/_", body=b"a file of that name")
    whole = unpack(ask(lab, "inputs/day/", [""]))
    assert sorted(whole.values()) == [b"a", b"a file of that name", b"deeper", b"of the folder"]


def test_what_was_chosen_and_is_gone_is_a_page_and_no_zip(lab: Lab) -> None:
    lab.put("example-lab/inputs/a")
    answer = ask(lab, "inputs/", ["a", "gone"])
    assert answer.status_code == 409
    assert "inputs/gone is not there any more" in answer.content.decode()
    assert ask(lab, "results/", [""]).status_code == 409


def test_a_file_that_vanishes_midway_breaks_the_download_off(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FILES_AHEAD", 0)
    lab.put("example-lab/inputs/a", "example-lab/inputs/b")
    answer = ask(lab, "inputs/", [""])
    lab.s3.delete_object(Bucket=BUCKET, Key="example-lab/inputs/b")
    with pytest.raises(BrokenTransfer, match="inputs/b"):
        unpack(answer)


def test_a_file_that_changes_midway_breaks_the_download_off(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SMALL_BYTES", 0)
    lab.put("example-lab/inputs/a", "example-lab/inputs/b")
    answer = ask(lab, "inputs/", [""])
    lab.put("example-lab/inputs/b", body=b"other")
    with pytest.raises(BrokenTransfer, match="inputs/b"):
        unpack(answer)


def test_a_transfer_that_breaks_off_goes_on_where_it_stood(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.put("example-lab/inputs/a", body=bytes(range(256)) * 10)
    whole, broken = objects._pieces, []

    def breaks(place: Any, stored: Any, offset: int) -> Iterator[bytes]:
        for piece in whole(place, stored, offset):
            yield piece[:1000]
            broken.append(offset)
            raise ResponseStreamingError(error="reset by peer")

    monkeypatch.setattr(objects, "_pieces", breaks)
    assert unpack(ask(lab, "inputs/", [""])) == {"a": bytes(range(256)) * 10}
    assert broken == [0, 1000, 2000]


def test_a_transfer_that_never_comes_is_given_up(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.put("example-lab/inputs/a")
    answer = ask(lab, "inputs/", [""])
    tries: list[int] = []

    def never(place: Any, stored: Any, offset: int) -> Iterator[bytes]:
        tries.append(offset)
        raise EndpointConnectionError(endpoint_url="https://s3")

    monkeypatch.setattr(objects, "_pieces", never)
    with pytest.raises(BrokenTransfer, match="broke off at 0 of 5"):
        unpack(answer)
    assert len(tries) == objects.MAX_TRIES


def test_a_third_zip_waits_its_turn(lab: Lab) -> None:
    lab.put("example-lab/inputs/a")
    first, second = ask(lab, "inputs/", [""]), ask(lab, "inputs/", [""])
    third = ask(lab, "inputs/", [""])
    assert third.status_code == 503
    assert third["Retry-After"]
    assert "two other downloads" in third.content.decode()
    for item in (first, second):
        assert unpack(item) == {"a": b"trace"}
    assert unpack(ask(lab, "inputs/", [""]))


@pytest.mark.parametrize("keys", ["", "{}", "[]", "[1]", "[null]", "not json", '"a"', '["\\ud800"]', "[" * 100_000])
def test_what_is_no_list_of_names_is_refused(lab: Lab, keys: str) -> None:
    assert ask(lab, "inputs/", keys).status_code == 400


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("../other-lab/", "a"),
        ("inputs/../../other-lab/inputs/", "a"),
        ("", "../other-lab/inputs/a"),
        ("inputs/", "../../other-lab/"),
    ],
)
def test_a_name_that_climbs_out_is_refused_and_on_record(lab: Lab, path: str, key: str) -> None:
    lab.put("other-lab/inputs/a")
    assert ask(lab, path, [key]).status_code == 403
    assert AuditEvent.objects.filter(action="access.refused").count() == 1


def test_a_folder_that_is_none_is_refused(lab: Lab) -> None:
    assert ask(lab, "inputs", ["a"]).status_code == 400


def test_strangers_get_no_zip(lab: Lab, stranger: Client) -> None:
    lab.put("example-lab/inputs/a")
    assert stranger.post(f"{PAGE}zip/", {"path": "", "keys": '[""]'}).status_code == 404
    assert Client().post(f"{PAGE}zip/", {"path": "", "keys": '[""]'}).status_code == 302


@pytest.mark.parametrize("limit", ["MAX_FILES", "MAX_SINGLE_FILES"])
def test_too_many_files_are_refused_with_what_to_do(lab: Lab, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(archive, limit, 1)
    lab.put("example-lab/inputs/a", "example-lab/inputs/b")
    answer = ask(lab, "inputs/", [""] if limit == "MAX_FILES" else ["a", "b"])
    assert answer.status_code == 409
    assert "Choose" in answer.content.decode()


@pytest.mark.parametrize(
    ("names", "safe"),
    [
        (["a b/ç.txt", "x"], ["a b/ç.txt", "x"]),
        (["../../etc/passwd"], ["__/__/etc/passwd"]),
        (["/etc/passwd", "a//b", "./c"], ["_/etc/passwd", "a/_/b", "_/c"]),
        (["..\\..\\x", "a\x00b", "a\nb"], [".._.._x", "a_b", "a_b (2)"]),
        (["photo\u202egpj.exe", "می\u200cخواهم"], ["photo_gpj.exe", "می\u200cخواهم"]),
        (["a", "a/b", "a (2)"], ["a (2)", "a/b", "a (2) (2)"]),
        (["a/", "a/b"], ["a/", "a/b"]),
    ],
)
def test_names_in_a_zip_stay_below_the_folder_and_differ(names: list[str], safe: list[str]) -> None:
    assert safe_names(names) == safe

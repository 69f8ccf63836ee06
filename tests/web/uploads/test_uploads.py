"""Beginning and ending uploads, against the embedded S3: what is called complete is what S3 holds, and nothing else."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from control_plane.access.groups.errors import NoCredentials, NotGranted, NotMember
from control_plane.access.groups.models import Grant
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.research.storage.group_folder import GroupFolder, find_group_folder
from control_plane.research.uploads import complete, initiate
from control_plane.research.uploads.models import Upload
from control_plane.research.uploads.names import NameRefused, check_folder, make_key
from control_plane.research.uploads.parts import MAX_BYTES, MIB, part_size
from tests.factories import MembershipFactory
from tests.local_aws.helpers import crc
from tests.web.uploader import BUCKET, Person, new, started

LARGE = 17 * MIB


def test_a_small_file_is_complete_when_s3_holds_it(person: Person) -> None:
    upload = started(person.start(new("session 5/Ünïcode ☃.txt"))[0])
    assert upload.key == "example-lab/inputs/session 5/Ünïcode ☃.txt"
    assert upload.upload_id == ""
    assert person.finish(upload, b"hello", person.put(upload, b"hello")).state == Upload.State.COMPLETE
    upload.refresh_from_db()
    assert (upload.state, upload.checksum) == (Upload.State.COMPLETE, crc(b"hello"))
    assert AuditEvent.objects.filter(action="upload.finish", details__files=1, details__bytes=5).exists()


def test_a_large_file_goes_in_parts_with_a_checksum_over_the_whole(person: Person) -> None:
    body = bytes(range(256)) * (LARGE // 256)
    upload = started(person.start(new("video.avi", LARGE))[0])
    assert upload.upload_id
    assert upload.part_size == 16 * MIB
    assert person.finish(upload, body, person.put_parts(upload, body)).state == Upload.State.COMPLETE


def test_nothing_is_complete_before_s3_holds_it(person: Person) -> None:
    upload = started(person.start(new("never-sent.txt"))[0])
    ended = person.finish(upload, b"hello", '"x"')
    assert (ended.state, "send it again" in ended.detail) == (Upload.State.SENDING, True)
    upload.refresh_from_db()
    assert upload.state == Upload.State.SENDING


@pytest.mark.parametrize(("sent", "claimed"), [(b"hellx", b"hello"), (b"hello and more", b"hello")])
def test_what_differs_is_not_complete_and_is_taken_away(person: Person, sent: bytes, claimed: bytes) -> None:
    upload = started(person.start(new(f"wrong-{len(sent)}.txt"))[0])
    ended = person.finish(upload, claimed, person.put(upload, sent))
    assert ended.state == Upload.State.WRONG
    assert "send it anew" in ended.detail
    with pytest.raises(person.s3.exceptions.ClientError):
        person.s3.head_object(Bucket=BUCKET, Key=upload.key)


def test_what_somebody_else_put_there_meanwhile_stays(person: Person) -> None:
    upload = started(person.start(new("shared.txt"))[0])
    person.put(upload, b"theirs")
    assert person.finish(upload, b"hello", '"mine"').state == Upload.State.WRONG
    assert person.s3.get_object(Bucket=BUCKET, Key=upload.key)["Body"].read() == b"theirs"


def test_the_same_file_goes_on_and_another_one_of_its_name_begins_anew(person: Person) -> None:
    first = started(person.start(new("long.avi", LARGE))[0])
    again = person.start(new("long.avi", LARGE))[0]
    assert (started(again).pk, again.is_resumed) == (first.pk, True)
    other = started(person.start(initiate.NewFile("long.avi", LARGE + 1, 1_800_000_000_000))[0])
    assert other.pk != first.pk
    first.refresh_from_db()
    assert first.state == Upload.State.REMOVED
    uploads = person.s3.list_multipart_uploads(Bucket=BUCKET, Prefix=first.key)["Uploads"]
    assert [upload["UploadId"] for upload in uploads] == [other.upload_id]


def test_a_large_file_that_is_there_is_asked_about_and_replaced_only_on_purpose(person: Person) -> None:
    person.s3.put_object(Bucket=BUCKET, Key="example-lab/inputs/there.avi", Body=b"old")
    answer = person.start(new("there.avi", LARGE))[0]
    assert answer.status == "exists"
    assert answer.existing is not None
    assert (answer.existing.size, Upload.objects.count()) == (3, 0)
    assert person.start(new("there.avi", LARGE, replaces=answer.existing.etag))[0].status == "send"


def test_a_large_file_that_arrived_before_is_not_even_read_again(person: Person) -> None:
    body = bytes(LARGE)
    upload = started(person.start(new("arrived.avi", LARGE))[0])
    person.finish(upload, body, person.put_parts(upload, body))
    assert person.start(new("arrived.avi", LARGE))[0].status == "same"
    assert person.start(initiate.NewFile("arrived.avi", LARGE, 1_800_000_000_000))[0].status == "exists"
    person.s3.put_object(Bucket=BUCKET, Key=upload.key, Body=b"somebody put another one there")
    assert person.start(new("arrived.avi", LARGE))[0].status == "exists"


def test_giving_up_frees_what_s3_holds(person: Person, actor: Actor) -> None:
    upload = started(person.start(new("given-up.avi", LARGE))[0])
    assert complete.remove_uploads(person.place, [upload.pk], actor) == 1
    assert "Uploads" not in person.s3.list_multipart_uploads(Bucket=BUCKET, Prefix=upload.key)
    assert complete.remove_uploads(person.place, [upload.pk], actor) == 0
    assert person.finish(upload, b"", "").state == Upload.State.REMOVED


def test_nobody_ends_or_removes_another_s_upload(person: Person, grace: User) -> None:
    upload = started(person.start(new("mine.txt"))[0])
    MembershipFactory.create(group=person.place.group, user=grace, deployed=True)
    hers = find_group_folder(group_slug="example-lab", analysis_slug="ephys", user=grace)
    actor = Actor(label=grace.email, channel="web", user=grace)
    assert complete.remove_uploads(hers, [upload.pk], actor) == 0
    ended = complete.complete_uploads(hers, [complete.SentFile(upload.pk, crc(b"hello"), "")], actor)[0]
    assert (ended.state, ended.detail) == (Upload.State.REMOVED, "It is not known here. Add the file again.")
    upload.refresh_from_db()
    assert upload.state == Upload.State.SENDING
    refused = AuditEvent.objects.filter(action="access.refused", actor=grace.email, target=f"uploads to s3://{BUCKET}/example-lab/")
    assert [(event.details["ids"], event.count) for event in refused] == [([upload.pk], 2)]
    # What S3 holds of one's own is nobody's trespass, though it may be named twice.
    assert complete.remove_uploads(person.place, [upload.pk, upload.pk], person.actor) == 1
    assert not AuditEvent.objects.filter(action="access.refused", actor=person.actor.label).exists()


BAD_PATHS = ["", "/", "a//b", "/a", "a/", "../x", "a/../b", "./a", "a\x00b", "a\nb", "x" * 1025, "é" * 600, "\ud800"]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_bad_name_is_refused_and_the_others_go_on(person: Person, path: str) -> None:
    bad, good = person.start(new(path), new(f"good-{abs(hash(path))}.txt"))
    assert (bad.status, good.status) == ("refused", "send")
    assert "name" in bad.detail.lower() or "path" in bad.detail.lower()


@pytest.mark.parametrize("folder", ["results", "", "..", "inputs/..", "other-lab/inputs", "/inputs", "inputs//a"])
def test_a_folder_that_nobody_may_write_in_is_refused(folder: str) -> None:
    with pytest.raises(NameRefused):
        check_folder(folder)


def test_names_are_kept_as_they_are() -> None:
    for name in ("a b+c&d=é.txt", "e\u0301.txt", "é.txt", "日本語/データ.csv", "back\\slash", "*?<>|"):
        assert make_key("lab/", "inputs/", name) == f"lab/inputs/{name}"


def test_an_empty_file_is_a_file(person: Person) -> None:
    upload = started(person.start(new("empty.txt", 0))[0])
    assert person.finish(upload, b"", person.put(upload, b"")).state == Upload.State.COMPLETE


@pytest.mark.parametrize("size", [1, 16 * MIB, 17 * MIB, 200 * 2**30, 2**40, MAX_BYTES])
def test_parts_grow_with_the_file_within_what_s3_takes(size: int) -> None:
    parts = -(-size // part_size(size))
    assert parts <= 10_000
    assert 5 * MIB <= part_size(size) <= 5 * 2**30


def test_a_file_that_s3_cannot_take_is_refused(person: Person) -> None:
    assert "S3 takes 5.5 TB" in person.start(new("huge.bin", MAX_BYTES + 1))[0].detail
    assert person.start(new("negative.bin", -1))[0].status == "refused"


def test_of_two_files_of_one_name_the_first_is_sent(person: Person) -> None:
    assert [answer.status for answer in person.start(new("twin"), new("twin"))] == ["send", "refused"]


def test_a_group_that_may_only_read_sends_nothing(place: GroupFolder, actor: Actor) -> None:
    place.grant.level = Grant.Level.READ_ONLY
    with pytest.raises(NotGranted, match="only read"):
        initiate.initiate_uploads(place, "inputs", [new("x")], actor)


def test_there_is_no_place_for_others_or_before_aws_has_it(place: GroupFolder, grace: User, administrator: User) -> None:
    for user in (grace, administrator):
        with pytest.raises(NotMember):
            find_group_folder(group_slug="example-lab", analysis_slug="ephys", user=user)
    MembershipFactory.create(group=place.group, user=grace)
    with pytest.raises(NoCredentials, match="still being made"):
        find_group_folder(group_slug="example-lab", analysis_slug="ephys", user=grace)


def test_beginning_hundreds_takes_few_queries(person: Person, django_assert_max_num_queries: Any) -> None:
    # Rows are written a hundred or so at a time, which is as many as one statement of SQLite takes.
    with django_assert_max_num_queries(20):
        assert all(answer.status == "send" for answer in person.start(*(new(f"many/{n}") for n in range(500))))
    uploads = list(Upload.objects.filter(key__startswith="example-lab/inputs/many/")[:100])
    for upload in uploads:
        person.put(upload, b"hello")
    with django_assert_max_num_queries(12):
        ended = complete.complete_uploads(
            person.place, [complete.SentFile(row.pk, crc(b"hello"), "") for row in uploads], person.actor
        )
    assert {row.state for row in ended} == {Upload.State.COMPLETE}
    with pytest.raises(NameRefused, match="At most 500"):
        person.start(*(new(f"more/{n}") for n in range(501)))


def test_what_s3_has_forgotten_is_not_listed_for_ever(person: Person) -> None:
    upload = started(person.start(new("old.txt"))[0])
    Upload.objects.filter(pk=upload.pk).update(created_at=timezone.now() - initiate.FORGET_UNFINISHED * 2)
    initiate.remove_old_rows(person.place)
    upload.refresh_from_db()
    assert upload.state == Upload.State.REMOVED


def test_the_api_needs_a_session_a_token_and_membership(place: GroupFolder, ada: User, grace: User) -> None:
    address = "/api/uploads/example-lab/ephys/start"
    body = {"folder": "inputs", "files": []}
    assert Client().post(address, body, "application/json").status_code == 401
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert strict.post(address, body, "application/json").status_code == 403
    other = Client()
    other.force_login(grace)
    assert other.post(address, body, "application/json").status_code == 404
    assert AuditEvent.objects.filter(action="access.refused", actor=grace.email, target=f"POST {address}").exists()


@pytest.mark.parametrize(
    ("analysis", "folder", "status"), [("video", "inputs", 403), ("ephys", "../other-lab/inputs", 422), ("ephys", "results", 422)]
)
def test_what_the_group_has_not_is_refused_on_record(
    s3: Any, place: GroupFolder, ada: User, analysis: str, folder: str, status: int
) -> None:
    member, address = Client(), f"/api/uploads/example-lab/{analysis}/start"
    member.force_login(ada)
    assert member.post(address, {"folder": folder, "files": []}, "application/json").status_code == status
    assert AuditEvent.objects.get(action="access.refused", actor=ada.email).target == f"POST {address}"


def test_unfinished_uploads_show_on_another_device(person: Person, ada: User) -> None:
    person.start(new("folder/seen.avi", LARGE), new("small\u202egpj.txt"))
    other = Client()
    other.force_login(ada)
    page = other.get("/groups/example-lab/files/ephys/unfinished/").content.decode()
    assert "inputs/folder/seen.avi" in page
    # What turns the order of letters about is shown by its number.
    assert "inputs/small\\u202egpj.txt" in page
    assert 'data-go-on="inputs/"' in page
    assert "2 files, 17.8 MB in all" in page
    assert "2 files" in other.get("/uploads/").content.decode()

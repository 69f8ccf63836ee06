"""Ending many small files: what S3 lists of them confirms them, and it is asked only for what a listing leaves open."""

from collections import Counter
from dataclasses import dataclass
from hashlib import md5
from typing import Any

import pytest
from botocore.exceptions import ClientError

from control_plane.research.uploads import complete
from control_plane.research.uploads.models import Upload
from tests.local_aws.helpers import crc
from tests.web.uploader import BUCKET, Person, new, started

pytestmark = pytest.mark.django_db


def md5_of(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Batch:
    """Twelve small files that were sent whole, and what S3 is asked about them."""

    person: Person
    uploads: list[Upload]
    asked: Counter[str]

    def finish(self, **claimed: str) -> list[str]:
        """Their states by S3's account; `claimed` are the MD5s that the browser names for some of them, by their file's name."""
        sent = [
            complete.SentFile(upload.pk, crc(upload.name.encode()), "", claimed.get(upload.name, md5_of(upload.name)))
            for upload in self.uploads
        ]
        self.asked.clear()
        return [upload.state for upload in complete.complete_uploads(self.person.place, sent, self.person.actor)]


@pytest.fixture
def batch(person: Person, request: pytest.FixtureRequest) -> Batch:
    # S3 keeps what earlier tests put there.
    folder, asked = request.node.name, Counter[str]()
    for call in ("HeadObject", "ListObjectsV2"):
        person.s3.meta.events.register(f"before-call.s3.{call}", lambda model, **_: asked.update([model.name]))
    names = [f"n{number:02}" for number in range(12)]
    uploads = [started(answer) for answer in person.start(*(new(f"{folder}/{name}", 3) for name in names))]
    for upload in uploads:
        person.put(upload, upload.name.encode())
    return Batch(person, uploads, asked)


def test_many_small_files_are_confirmed_by_one_listing(batch: Batch) -> None:
    assert batch.finish() == [Upload.State.COMPLETE] * 12
    assert batch.asked == {"ListObjectsV2": 1}
    upload = Upload.objects.get(key__endswith="n03")
    assert upload.etag == f'"{md5_of("n03")}"'
    assert upload.ended_at is not None


def test_what_a_listing_does_not_confirm_is_asked_for_alone(batch: Batch) -> None:
    batch.person.s3.put_object(Bucket=BUCKET, Key=batch.uploads[4].key, Body=b"xxx", ChecksumCRC32=crc(b"xxx"))
    batch.person.s3.delete_object(Bucket=BUCKET, Key=batch.uploads[5].key)
    states = batch.finish(n06="0" * 32)
    assert batch.asked == {"ListObjectsV2": 1, "HeadObject": 3}
    assert states[4:7] == [Upload.State.WRONG, Upload.State.SENDING, Upload.State.COMPLETE]
    assert states.count(Upload.State.COMPLETE) == 10


def test_a_folder_with_much_else_costs_two_listings_at_most(batch: Batch) -> None:
    for number in range(60):
        batch.person.s3.put_object(Bucket=BUCKET, Key=f"{batch.uploads[0].key}-{number:02}", Body=b"x")
    assert batch.finish() == [Upload.State.COMPLETE] * 12
    assert batch.asked == {"ListObjectsV2": 2, "HeadObject": 11}


def test_where_s3_does_not_list_it_is_asked_for_each_file(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectsV2")

    monkeypatch.setattr(batch.person.s3, "list_objects_v2", refuse)
    assert batch.finish() == [Upload.State.COMPLETE] * 12
    assert batch.asked == {"HeadObject": 12}

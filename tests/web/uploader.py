"""A person who uploads, as far as the control plane can tell, and an S3 of their own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from control_plane.access.groups.models import Group
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.research.storage.group_folder import GroupFolder, find_group_folder
from control_plane.research.uploads import complete, initiate
from control_plane.research.uploads.models import Upload
from local_aws.server import EmbeddedAws, free_port
from tests.actors import actor_of
from tests.factories import AnalysisFactory, GrantFactory, MembershipFactory
from tests.local_aws.helpers import client, crc

BUCKET = "cohort-up"


@pytest.fixture(scope="module")
def uploads_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        s3 = client(running, "s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield running


@pytest.fixture
def s3(uploads_aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> Any:
    """S3 as its root: what sessions may do is tested where IAM decides."""
    made = client(uploads_aws, "s3")
    for module in (initiate, complete):
        monkeypatch.setattr(module, "s3_client", lambda place, purpose: made)
    return made


@pytest.fixture
def place(group: Group, ada: User) -> GroupFolder:
    analysis = AnalysisFactory.create(slug="ephys", bucket=BUCKET, deployed=True)
    GrantFactory.create(group=group, analysis=analysis)
    MembershipFactory.create(group=group, user=ada, deployed=True)
    return find_group_folder(group_slug=group.slug, analysis_slug="ephys", user=ada)


@pytest.fixture
def actor(ada: User) -> Actor:
    return actor_of(ada)


def new(path: str, size: int = 5, **more: Any) -> initiate.NewFile:
    return initiate.NewFile(path, size, 1_700_000_000_000, **more)


@dataclass
class Person:
    """A browser, as far as the control plane can tell."""

    s3: Any
    place: GroupFolder
    actor: Actor

    def start(self, *files: initiate.NewFile, folder: str = "inputs") -> list[initiate.UploadAnswer]:
        return initiate.initiate_uploads(self.place, folder, files, self.actor)

    def put(self, upload: Upload, body: bytes) -> str:
        answer = self.s3.put_object(Bucket=BUCKET, Key=upload.key, Body=body, ChecksumCRC32=crc(body), IfNoneMatch="*")
        return str(answer["ETag"])

    def put_parts(self, upload: Upload, body: bytes) -> str:
        parts = []
        for number, at in enumerate(range(0, len(body), upload.part_size), start=1):
            piece = body[at : at + upload.part_size]
            named = {"Bucket": BUCKET, "Key": upload.key, "UploadId": upload.upload_id, "PartNumber": number}
            etag = self.s3.upload_part(**named, Body=piece, ChecksumCRC32=crc(piece))["ETag"]
            parts.append({"PartNumber": number, "ETag": etag, "ChecksumCRC32": crc(piece)})
        done = self.s3.complete_multipart_upload(
            Bucket=BUCKET,
            Key=upload.key,
            UploadId=upload.upload_id,
            MultipartUpload={"Parts": parts},
            ChecksumCRC32=crc(body),
            ChecksumType="FULL_OBJECT",
            MpuObjectSize=len(body),
        )
        return str(done["ETag"])

    def finish(self, upload: Upload, body: bytes, etag: str) -> complete.UploadEnd:
        return complete.complete_uploads(self.place, [complete.SentFile(upload.pk, crc(body), etag)], self.actor)[0]


@pytest.fixture
def person(s3: Any, place: GroupFolder, actor: Actor) -> Person:
    return Person(s3, place, actor)


def started(answer: initiate.UploadAnswer) -> Upload:
    assert answer.status == "send", answer
    assert answer.upload is not None
    return answer.upload

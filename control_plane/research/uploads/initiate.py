"""Initiation and resumption of uploads: names are checked, S3 is asked what it holds, rows are made."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError
from django.db import transaction
from django.utils import timezone

from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.presence import head
from control_plane.research.storage.sessions import Purpose, s3_client
from control_plane.research.uploads.complete import abandon_uploads
from control_plane.research.uploads.models import Upload
from control_plane.research.uploads.names import NameRefused, check_folder, make_key
from control_plane.research.uploads.parts import is_multipart, part_size

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_FILES = 500
# S3 calls at the same time for one request; each file that goes in parts needs two.
CALLS_AT_ONCE = 8
MAX_NAMED = 20
# S3 ends abandoned uploads itself after a week (`stacks.group.storage_stack.ABANDONED_UPLOAD_DAYS`).
FORGET_UNFINISHED = timedelta(days=8)
FORGET_ENDED = timedelta(days=30)


@dataclass(frozen=True)
class NewFile:
    """File as the browser describes it. `replaces` is the ETag of the object that the person agreed to replace."""

    path: str
    size: int
    modified: int
    kind: str = ""
    replaces: str = ""


@dataclass(frozen=True)
class ExistingObject:
    """Object that S3 holds under the key already. Without a checksum the two cannot be compared."""

    size: int
    etag: str
    checksum: str
    modified: str


@dataclass
class UploadAnswer:
    """Answer for one file: send it, compare it with the existing object, or leave it, because it is there or is refused."""

    status: Literal["send", "exists", "same", "refused"]
    key: str = ""
    detail: str = ""
    can_retry: bool = False
    upload: Upload | None = None
    is_resumed: bool = False
    existing: ExistingObject | None = None


@dataclass
class _UploadRequest:
    """State of one file within `initiate_uploads`."""

    file: NewFile
    key: str
    part_size: int
    known: Upload | None = None
    arrived: Upload | None = None
    answer: UploadAnswer | None = None
    upload_id: str = ""
    stale: list[Upload] = field(default_factory=list)


def initiate_uploads(folder: GroupFolder, subfolder: str, files: Sequence[NewFile], actor: Actor) -> list[UploadAnswer]:
    """Begin these uploads, in their order; at most MAX_FILES. A file that is refused does not stop the others.

    Raises NameRefused for a bad folder or too many files, NotGranted where the group may only read, NoCredentials.
    """
    if len(files) > MAX_FILES:
        raise NameRefused(f"At most {MAX_FILES} files can be begun at once; these are {len(files)}. Nothing was begun.")
    subfolder = check_folder(subfolder)
    client = s3_client(folder, Purpose.UPLOAD)
    remove_old_rows(folder)
    answers: dict[int, UploadAnswer] = {}
    asked: dict[int, _UploadRequest] = {}
    for index, file in enumerate(files):
        try:
            asked[index] = _UploadRequest(file, make_key(folder.prefix, subfolder, file.path), part_size(file.size))
        except NameRefused as refusal:
            answers[index] = UploadAnswer("refused", detail=str(refusal))
    _refuse_duplicates(asked, answers)
    _find_earlier(folder, asked.values())
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        list(
            pool.map(
                lambda request: _begin_multipart(client, folder, request),
                [request for request in asked.values() if is_multipart(request.file.size)],
            )
        )
    _save_uploads(folder, subfolder, asked.values(), actor)
    return [answers.get(index) or _answer(asked[index]) for index in range(len(files))]


def remove_old_rows(folder: GroupFolder) -> None:
    """Remove this person's rows here that S3 has forgotten, and those that ended long ago."""
    now = timezone.now()
    mine = Upload.objects.owned_by(group=folder.group, analysis=folder.analysis, user=folder.membership.user)
    mine.unfinished().filter(created_at__lt=now - FORGET_UNFINISHED).update(state=Upload.State.REMOVED, ended_at=now)
    mine.filter(ended_at__lt=now - FORGET_ENDED).delete()


def _refuse_duplicates(asked: dict[int, _UploadRequest], answers: dict[int, UploadAnswer]) -> None:
    taken: set[str] = set()
    for index, request in list(asked.items()):
        if request.key in taken:
            answers[index] = UploadAnswer(
                "refused", key=request.key, detail="There are two files of this name. The first one is sent."
            )
            del asked[index]
        taken.add(request.key)


def _find_earlier(folder: GroupFolder, asked: Iterable[_UploadRequest]) -> None:
    """Find earlier uploads of these keys, also completed ones. The same file is resumed, another of that name is begun anew."""
    arrived = {
        (upload.key, upload.size, upload.modified): upload
        for upload in Upload.objects.filter(
            analysis=folder.analysis, state=Upload.State.COMPLETE, key__in=[request.key for request in asked]
        ).order_by("pk")
    }
    for request in asked:
        request.arrived = arrived.get((request.key, request.file.size, request.file.modified))
    known = {
        upload.key: upload
        for upload in Upload.objects.unfinished().filter(
            analysis=folder.analysis, user=folder.membership.user, key__in=[request.key for request in asked]
        )
    }
    for request in asked:
        if upload := known.get(request.key):
            if (upload.size, upload.modified) == (request.file.size, request.file.modified) and not request.file.replaces:
                request.known = upload
            else:
                request.stale.append(upload)


def _begin_multipart(client: "S3Client", folder: GroupFolder, request: _UploadRequest) -> None:
    """Begin a multipart upload, unless it was begun or the key exists. Runs in a thread: no database."""
    if request.known:
        return
    try:
        existing = find_existing(client, folder, request.key)
        if existing and existing.etag != request.file.replaces:
            # S3 confirmed this very object's checksum when the file, of the same time and size, arrived.
            is_same = request.arrived is not None and request.arrived.etag == existing.etag
            request.answer = UploadAnswer("same" if is_same else "exists", key=request.key, existing=existing)
            return
        request.upload_id = client.create_multipart_upload(
            Bucket=folder.bucket,
            Key=request.key,
            ContentType=request.file.kind or "application/octet-stream",
            ChecksumAlgorithm="CRC32",
            ChecksumType="FULL_OBJECT",
        )["UploadId"]
    except (BotoCoreError, ClientError) as error:
        request.answer = UploadAnswer(
            "refused", key=request.key, detail=f"S3 did not take it: {error}. It is not there.", can_retry=True
        )


def find_existing(client: "S3Client", folder: GroupFolder, key: str) -> ExistingObject | None:
    """Return the object under a key, or None. Raises what boto3 raises."""
    head_answer = head(client, folder.bucket, key, ChecksumMode="ENABLED")
    if head_answer is None:
        return None
    # A checksum over the parts' checksums says nothing about the whole, whose parts we do not know.
    checksum = "" if head_answer.get("ChecksumType") == "COMPOSITE" else head_answer.get("ChecksumCRC32", "")
    return ExistingObject(head_answer["ContentLength"], head_answer["ETag"], checksum, head_answer["LastModified"].isoformat())


def _save_uploads(folder: GroupFolder, subfolder: str, asked: Iterable[_UploadRequest], actor: Actor) -> None:
    """Create the rows, all at once, and record who began them."""
    fresh = [request for request in asked if request.answer is None and request.known is None]
    abandon_uploads(folder, [upload for request in asked if request.answer is None for upload in request.stale])
    with transaction.atomic():
        Upload.objects.bulk_create(
            [
                Upload(
                    group=folder.group,
                    analysis=folder.analysis,
                    user=folder.membership.user,
                    key=request.key,
                    folder=subfolder,
                    size=request.file.size,
                    modified=request.file.modified,
                    part_size=request.part_size,
                    upload_id=request.upload_id,
                )
                for request in fresh
            ],
            # Another page of the same person may have begun it a moment ago: then both go on with that one.
            ignore_conflicts=True,
        )
        if fresh:
            record(
                actor,
                "upload.start",
                f"s3://{folder.bucket}/{folder.prefix}",
                files=len(fresh),
                bytes=sum(request.file.size for request in fresh),
                first=[request.key for request in fresh[:MAX_NAMED]],
            )
    rows = Upload.objects.unfinished().filter(
        analysis=folder.analysis, user=folder.membership.user, key__in=[request.key for request in fresh]
    )
    by_key = {upload.key: upload for upload in rows}
    for request in fresh:
        request.known = by_key.get(request.key)


def _answer(request: _UploadRequest) -> UploadAnswer:
    if request.answer:
        return request.answer
    upload = request.known
    if upload is None or (upload.size, upload.modified) != (request.file.size, request.file.modified):
        detail = "Another page of yours is sending a different file of this name. Wait until it is done, and try again."
        return UploadAnswer("refused", key=request.key, detail=detail, can_retry=True)
    return UploadAnswer(
        "send", key=request.key, upload=upload, is_resumed=bool(upload.upload_id) and upload.upload_id != request.upload_id
    )

"""Beginning uploads, or going on with those that were begun: names are checked, S3 is asked what is there, rows are made."""

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
from control_plane.research.uploads.complete import abandon
from control_plane.research.uploads.models import Upload
from control_plane.research.uploads.names import NameRefused, check_folder, make_key
from control_plane.research.uploads.parts import is_multipart, part_size

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_FILES = 500
# S3 calls at the same time for one request; each file that goes in parts needs two.
CALLS_AT_ONCE = 8
MAX_NAMED = 20
# S3 ends abandoned uploads itself after a week (`stacks.storage_stack.ABANDONED_UPLOAD_DAYS`).
FORGET_UNFINISHED = timedelta(days=8)
FORGET_ENDED = timedelta(days=30)


@dataclass(frozen=True)
class NewFile:
    """What the browser knows of a file. `replaces` is the ETag of the object that the person agreed to replace."""

    path: str
    size: int
    modified: int
    kind: str = ""
    replaces: str = ""


@dataclass(frozen=True)
class Existing:
    """What S3 holds under the key already. Without a checksum the two cannot be compared."""

    size: int
    etag: str
    checksum: str
    modified: str


@dataclass
class Started:
    """What to do with one file: send it, compare it with what is there, or leave it: because it is there, or is refused."""

    status: Literal["send", "exists", "same", "refused"]
    key: str = ""
    detail: str = ""
    can_retry: bool = False
    upload: Upload | None = None
    is_resumed: bool = False
    existing: Existing | None = None


@dataclass
class _Asked:
    """One file on its way through `start`."""

    file: NewFile
    key: str
    part_size: int
    known: Upload | None = None
    arrived: Upload | None = None
    answer: Started | None = None
    upload_id: str = ""
    stale: list[Upload] = field(default_factory=list)


def start(place: GroupFolder, folder: str, files: Sequence[NewFile], actor: Actor) -> list[Started]:
    """Begin these files, in their order; at most MAX_FILES. One that is refused keeps no other from going on.

    Raises NameRefused for a bad folder or too many files, NotGranted where the group may only read, NoCredentials.
    """
    if len(files) > MAX_FILES:
        raise NameRefused(f"At most {MAX_FILES} files can be begun at once; these are {len(files)}. Nothing was begun.")
    folder = check_folder(folder)
    client = s3_client(place, Purpose.UPLOAD)
    forget_old(place)
    answers: dict[int, Started] = {}
    asked: dict[int, _Asked] = {}
    for index, file in enumerate(files):
        try:
            asked[index] = _Asked(file, make_key(place.prefix, folder, file.path), part_size(file.size))
        except NameRefused as refusal:
            answers[index] = Started("refused", detail=str(refusal))
    _refuse_twins(asked, answers)
    _look_up(place, asked.values())
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        list(pool.map(lambda one: _ask_s3(client, place, one), [one for one in asked.values() if is_multipart(one.file.size)]))
    _keep(place, folder, asked.values(), actor)
    return [answers.get(index) or _answer(asked[index]) for index in range(len(files))]


def forget_old(place: GroupFolder) -> None:
    """Remove this person's rows here that S3 has forgotten, and those that ended long ago."""
    now = timezone.now()
    mine = Upload.objects.of(group=place.group, analysis=place.analysis, user=place.membership.user)
    mine.unfinished().filter(created_at__lt=now - FORGET_UNFINISHED).update(state=Upload.State.REMOVED, ended_at=now)
    mine.filter(ended_at__lt=now - FORGET_ENDED).delete()


def _refuse_twins(asked: dict[int, _Asked], answers: dict[int, Started]) -> None:
    taken: set[str] = set()
    for index, one in list(asked.items()):
        if one.key in taken:
            answers[index] = Started("refused", key=one.key, detail="There are two files of this name. The first one is sent.")
            del asked[index]
        taken.add(one.key)


def _look_up(place: GroupFolder, asked: Iterable[_Asked]) -> None:
    """Find what was begun before: the same file goes on, another one of that name is begun anew. And what has arrived."""
    arrived = {
        (upload.key, upload.size, upload.modified): upload
        for upload in Upload.objects.filter(
            analysis=place.analysis, state=Upload.State.COMPLETE, key__in=[one.key for one in asked]
        ).order_by("pk")
    }
    for one in asked:
        one.arrived = arrived.get((one.key, one.file.size, one.file.modified))
    known = {
        upload.key: upload
        for upload in Upload.objects.unfinished().filter(
            analysis=place.analysis, user=place.membership.user, key__in=[one.key for one in asked]
        )
    }
    for one in asked:
        if upload := known.get(one.key):
            if (upload.size, upload.modified) == (one.file.size, one.file.modified) and not one.file.replaces:
                one.known = upload
            else:
                one.stale.append(upload)


def _ask_s3(client: "S3Client", place: GroupFolder, one: _Asked) -> None:
    """For a file that goes in parts: begin it, unless it was begun or something is there. In a thread: no database."""
    if one.known:
        return
    try:
        existing = look(client, place, one.key)
        if existing and existing.etag != one.file.replaces:
            # S3 confirmed this very object's checksum when the file, of the same time and size, arrived.
            is_same = one.arrived is not None and one.arrived.etag == existing.etag
            one.answer = Started("same" if is_same else "exists", key=one.key, existing=existing)
            return
        one.upload_id = client.create_multipart_upload(
            Bucket=place.bucket,
            Key=one.key,
            ContentType=one.file.kind or "application/octet-stream",
            ChecksumAlgorithm="CRC32",
            ChecksumType="FULL_OBJECT",
        )["UploadId"]
    except (BotoCoreError, ClientError) as error:
        one.answer = Started("refused", key=one.key, detail=f"S3 did not take it: {error}. It is not there.", can_retry=True)


def look(client: "S3Client", place: GroupFolder, key: str) -> Existing | None:
    """What S3 holds under a key. Raises what boto3 raises."""
    found = head(client, place.bucket, key, ChecksumMode="ENABLED")
    if found is None:
        return None
    # A checksum over the parts' checksums says nothing about the whole, whose parts we do not know.
    checksum = "" if found.get("ChecksumType") == "COMPOSITE" else found.get("ChecksumCRC32", "")
    return Existing(found["ContentLength"], found["ETag"], checksum, found["LastModified"].isoformat())


def _keep(place: GroupFolder, folder: str, asked: Iterable[_Asked], actor: Actor) -> None:
    """Make the rows, all at once, and say who began what."""
    fresh = [one for one in asked if one.answer is None and one.known is None]
    abandon(place, [upload for one in asked if one.answer is None for upload in one.stale])
    with transaction.atomic():
        Upload.objects.bulk_create(
            [
                Upload(
                    group=place.group,
                    analysis=place.analysis,
                    user=place.membership.user,
                    key=one.key,
                    folder=folder,
                    size=one.file.size,
                    modified=one.file.modified,
                    part_size=one.part_size,
                    upload_id=one.upload_id,
                )
                for one in fresh
            ],
            # Another page of the same person may have begun it a moment ago: then both go on with that one.
            ignore_conflicts=True,
        )
        if fresh:
            record(
                actor,
                "upload.start",
                f"s3://{place.bucket}/{place.prefix}",
                files=len(fresh),
                bytes=sum(one.file.size for one in fresh),
                first=[one.key for one in fresh[:MAX_NAMED]],
            )
    rows = Upload.objects.unfinished().filter(
        analysis=place.analysis, user=place.membership.user, key__in=[one.key for one in fresh]
    )
    by_key = {upload.key: upload for upload in rows}
    for one in fresh:
        one.known = by_key.get(one.key)


def _answer(one: _Asked) -> Started:
    if one.answer:
        return one.answer
    upload = one.known
    if upload is None or (upload.size, upload.modified) != (one.file.size, one.file.modified):
        detail = "Another page of yours is sending a different file of this name. Wait until it is done, and try again."
        return Started("refused", key=one.key, detail=detail, can_retry=True)
    return Started("send", key=one.key, upload=upload, is_resumed=bool(upload.upload_id) and upload.upload_id != one.upload_id)

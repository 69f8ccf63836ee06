"""Completion of uploads after S3 was asked what it holds, and their removal."""

import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from django.db import transaction
from django.utils import timezone

from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.audit.refusals import count_refusal
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.presence import head
from control_plane.research.storage.sessions import Purpose, s3_client
from control_plane.research.uploads.models import Upload, UploadQuerySet

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef, ObjectTypeDef

logger = logging.getLogger(__name__)

CALLS_AT_ONCE = 8
MAX_NAMED = 20
# With this many small files or more, listings are read first; after MAX_PAGES, the remaining files are asked for one by one.
LISTED_FROM_FILES, MAX_LISTED, MAX_PAGES = 10, 1000, 2


@dataclass(frozen=True)
class SentFile:
    """Sent file as the browser reports it: CRC-32 of the whole file in base64, and the ETag that S3 answered with.

    For a small file that went in one request also its MD5 in hexadecimal, which S3 has as the ETag of such an object where its
    bucket is encrypted with S3's own keys (S3's API reference, "Object").
    """

    id: int
    checksum: str
    etag: str
    md5: str = ""


@dataclass(frozen=True)
class UploadEnd:
    """Result of one upload."""

    id: int
    state: str
    detail: str = ""


@dataclass(frozen=True)
class _Verdict:
    upload: Upload
    state: str
    detail: str = ""
    checksum: str = ""
    etag: str = ""
    is_ours: bool = False


def complete_uploads(folder: GroupFolder, sent: Sequence[SentFile], actor: Actor) -> list[UploadEnd]:
    """Mark the files complete that S3 holds with the size and checksum that they had on the person's disk, and no others.

    What S3 holds otherwise is deleted again (a version stays), and must be sent anew. Raises NoCredentials.
    """
    rows = {upload.pk: upload for upload in _own_uploads(folder).filter(pk__in=[sent_file.id for sent_file in sent])}
    _record_foreign_ids(folder, [sent_file.id for sent_file in sent], rows, actor)
    client = s3_client(folder, Purpose.UPLOAD)
    open_ones = [sent_file for sent_file in sent if sent_file.id in rows and rows[sent_file.id].state == Upload.State.SENDING]
    listed = _list_objects(folder, [rows[sent_file.id].key for sent_file in open_ones if sent_file.md5])

    def judge(sent_file: SentFile) -> _Verdict:
        return _judge_listed(listed, rows[sent_file.id], sent_file) or _judge(client, folder, rows[sent_file.id], sent_file)

    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        verdicts = list(pool.map(judge, open_ones))
    _delete_wrong(folder, [verdict for verdict in verdicts if verdict.is_ours])
    _save_verdicts(folder, verdicts, actor)
    judged = {verdict.upload.pk: UploadEnd(verdict.upload.pk, verdict.state, verdict.detail) for verdict in verdicts}
    return [judged.get(sent_file.id) or _ended_before(sent_file.id, rows.get(sent_file.id)) for sent_file in sent]


def remove_uploads(folder: GroupFolder, ids: Sequence[int], actor: Actor) -> int:
    """Abandon unfinished uploads: S3 drops their parts. Returns how many. Raises NoCredentials."""
    rows = {upload.pk: upload for upload in _own_uploads(folder).filter(pk__in=ids)}
    _record_foreign_ids(folder, ids, rows, actor)
    removed = abandon_uploads(folder, [upload for upload in rows.values() if upload.state == Upload.State.SENDING])
    if removed:
        record(
            actor,
            "upload.remove",
            f"s3://{folder.bucket}/{folder.prefix}",
            files=len(removed),
            first=[upload.key for upload in removed[:MAX_NAMED]],
        )
    return len(removed)


def abandon_uploads(folder: GroupFolder, uploads: Sequence[Upload]) -> list[Upload]:
    """Abort these uploads in S3 and close their rows; an upload that S3 does not abort stays. Returns the aborted ones."""
    if not uploads:
        return []
    client = s3_client(folder, Purpose.UPLOAD)
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        dropped = list(pool.map(lambda upload: _abort_multipart(client, folder, upload), uploads))
    gone = [upload for upload, is_gone in zip(uploads, dropped, strict=True) if is_gone]
    Upload.objects.unfinished().filter(pk__in=[upload.pk for upload in gone]).update(
        state=Upload.State.REMOVED, ended_at=timezone.now()
    )
    return gone


def _own_uploads(folder: GroupFolder) -> UploadQuerySet:
    return Upload.objects.owned_by(group=folder.group, analysis=folder.analysis, user=folder.membership.user)


def _record_foreign_ids(folder: GroupFolder, ids: Sequence[int], mine: Container[int], actor: Actor) -> None:
    """Record that somebody named uploads that are not theirs here. The answer is as if there were none."""
    if others := sorted({upload_id for upload_id in ids if upload_id not in mine}):
        reason = "Uploads of somebody else's, of another place, or that are not known."
        count_refusal(actor, f"uploads to s3://{folder.bucket}/{folder.prefix}", reason=reason, ids=others[:MAX_NAMED])


def _list_objects(folder: GroupFolder, keys: Sequence[str]) -> dict[str, "ObjectTypeDef"]:
    """Return S3's listing of these keys with few calls. Keys that are missing from it are asked for one by one."""
    objects: dict[str, ObjectTypeDef] = {}
    if len(keys) < LISTED_FROM_FILES:
        return objects
    first, last = min(keys), max(keys)
    pages = (
        s3_client(folder, Purpose.BROWSE)
        .get_paginator("list_objects_v2")
        .paginate(
            Bucket=folder.bucket,
            Prefix=folder.prefix,
            # A key without its last character comes before it.
            StartAfter=first[:-1],
            PaginationConfig={"PageSize": min(MAX_LISTED, 2 * len(keys))},
        )
    )
    try:
        for page in islice(pages, MAX_PAGES):
            objects |= {entry["Key"]: entry for entry in page.get("Contents", [])}
            if last in objects:
                break
    except (BotoCoreError, ClientError):
        logger.info("S3 did not list %s below %s; it is asked for each file.", folder.bucket, folder.prefix, exc_info=True)
    return objects


def _judge_listed(listed: Mapping[str, "ObjectTypeDef"], upload: Upload, sent: SentFile) -> _Verdict | None:
    """Return COMPLETE if the listing has the file's size and MD5; None if that is not known yet."""
    entry = listed.get(upload.key)
    if not sent.md5 or entry is None or entry["Size"] != upload.size or entry["ETag"] != f'"{sent.md5}"':
        return None
    return _Verdict(upload, Upload.State.COMPLETE, etag=entry["ETag"])


def _judge(client: "S3Client", folder: GroupFolder, upload: Upload, sent: SentFile) -> _Verdict:
    """Compare what S3 holds with what was sent. Runs in a thread: no database."""
    try:
        head_answer = head(client, folder.bucket, upload.key, ChecksumMode="ENABLED")
    except ClientError as error:
        return _Verdict(
            upload, Upload.State.SENDING, f"S3 did not say what it holds: {error}. It is not called complete; try again."
        )
    except BotoCoreError as error:
        return _Verdict(upload, Upload.State.SENDING, f"S3 could not be asked: {error}. It is not called complete; try again.")
    if head_answer is None:
        return _Verdict(upload, Upload.State.SENDING, "S3 does not hold it. It is not complete; send it again.")
    if problem := _difference(head_answer, upload, sent):
        is_ours = bool(sent.etag) and head_answer["ETag"] == sent.etag
        what = "It was taken away again; send it anew." if is_ours else "Somebody may have sent another file of this name."
        return _Verdict(upload, Upload.State.WRONG, f"{problem} {what}", is_ours=is_ours)
    return _Verdict(upload, Upload.State.COMPLETE, checksum=head_answer["ChecksumCRC32"], etag=head_answer["ETag"])


def _difference(head_answer: "HeadObjectOutputTypeDef", upload: Upload, sent: SentFile) -> str:
    if head_answer["ContentLength"] != upload.size:
        return f"S3 holds {head_answer['ContentLength']} bytes, and the file has {upload.size}."
    checksum = head_answer.get("ChecksumCRC32", "")
    if not checksum or head_answer.get("ChecksumType") == "COMPOSITE":
        return "S3 holds no checksum of it, so that nobody can tell whether it is right."
    if checksum != sent.checksum:
        return "What S3 holds has another checksum than the file."
    return ""


def _delete_wrong(folder: GroupFolder, verdicts: Iterable[_Verdict]) -> None:
    keys = [verdict.upload.key for verdict in verdicts]
    if keys:
        s3_client(folder, Purpose.DELETE).delete_objects(Bucket=folder.bucket, Delete={"Objects": [{"Key": key} for key in keys]})


def _save_verdicts(folder: GroupFolder, verdicts: Sequence[_Verdict], actor: Actor) -> None:
    ended = [verdict for verdict in verdicts if verdict.state != Upload.State.SENDING]
    if not ended:
        return
    now = timezone.now()
    for verdict in ended:
        verdict.upload.checksum, verdict.upload.etag = verdict.checksum, verdict.etag
    complete = [verdict.upload for verdict in ended if verdict.state == Upload.State.COMPLETE]
    wrong = [verdict.upload for verdict in ended if verdict.state == Upload.State.WRONG]
    with transaction.atomic():
        # One statement for what is the same in all rows: bulk_update works out each row's value of each field.
        for state, uploads in ((Upload.State.COMPLETE, complete), (Upload.State.WRONG, wrong)):
            Upload.objects.filter(pk__in=[upload.pk for upload in uploads]).update(state=state, ended_at=now)
        Upload.objects.bulk_update([verdict.upload for verdict in ended], ["checksum", "etag"], batch_size=100)
        record(
            actor,
            "upload.finish",
            f"s3://{folder.bucket}/{folder.prefix}",
            files=len(complete),
            bytes=sum(upload.size for upload in complete),
            first=[upload.key for upload in complete[:MAX_NAMED]],
            wrong=[upload.key for upload in wrong[:MAX_NAMED]],
        )


def _ended_before(upload_id: int, upload: Upload | None) -> UploadEnd:
    if upload is None:
        return UploadEnd(upload_id, Upload.State.REMOVED, "It is not known here. Add the file again.")
    return UploadEnd(
        upload_id, upload.state, "" if upload.state == Upload.State.COMPLETE else "It was removed. Add the file again."
    )


def _abort_multipart(client: "S3Client", folder: GroupFolder, upload: Upload) -> bool:
    if not upload.upload_id:
        return True
    try:
        client.abort_multipart_upload(Bucket=folder.bucket, Key=upload.key, UploadId=upload.upload_id)
    except ClientError as error:
        return error.response["Error"]["Code"] == "NoSuchUpload"
    except BotoCoreError:
        return False
    return True

"""Objects in a group's folder: lookup, reading, deletion, and undoing deletions, by the server itself."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import PermissionDenied

from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import NotFound, Refused
from control_plane.base.visible import visible
from control_plane.research.storage import presence
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.presence import status_of
from control_plane.research.storage.sessions import WRITABLE_FOLDERS, Purpose, s3_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Where members may delete; S3 takes this many keys in one DeleteObjects (its API reference).
CLEANABLE_FOLDERS = (*WRITABLE_FOLDERS, "results")
MAX_KEYS = 1000
CHUNK_BYTES = 1024 * 1024
CALLS_AT_ONCE = 8
# Tries to resume a broken transfer without a byte in between.
MAX_TRIES = 4
MAX_NAMED = 20
# What XML 1.0 cannot carry, or would change: such keys cannot stand in the body of DeleteObjects.
_NOT_IN_XML = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Object in S3. `etag` pins the very content that was meant."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class KeyOutcome:
    """Result for one key: the delete marker that hides it or did, or the error."""

    key: str
    marker: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Key, and the version id of its delete marker."""

    key: str
    version: str


class NoAnswer(Refused):
    """Failed request to S3: what it holds is unknown."""


class BrokenTransfer(RuntimeError):
    """Transfer that did not deliver the whole object as it was when it was looked up."""


def has_dot_segment(key: str) -> bool:
    """Tell whether a part of the key is `.` or `..`: S3 keeps such a part, and a browser takes it out of an address."""
    return not {".", ".."}.isdisjoint(key.split("/"))


def check_keys(folder: GroupFolder, keys: Iterable[str], *, folders: Sequence[str] = (), may_have_dots: bool = False) -> None:
    """Raise PermissionDenied for a key outside the group's own prefix (and these folders of it), or one that climbs out.

    `may_have_dots` is for callers that have S3 itself look for the very key. A key that, read as a path, leads out of the folder is
    refused even then.
    """
    allowed = tuple(f"{folder.prefix}{name}/" for name in folders) or (folder.prefix,)
    for key in keys:
        if not key.startswith(allowed):
            where = " and ".join(f"{name}/" for name in folders) if folders else "the group’s own folder"
            raise PermissionDenied(f"{key!r} does not lie in {where} of {folder.group.name}. Nothing was changed.")
        if not f"{posixpath.normpath(key)}/".startswith(allowed):
            raise PermissionDenied(f"{key!r} has a part that climbs to another folder. Nothing was changed.")
        if has_dot_segment(key) and not may_have_dots:
            raise PermissionDenied(
                f"{key!r} has a part “.” or “..”, which other programs take for another folder. Nothing was changed. "
                "Copy it to a name without such a part first."
            )


def list_below(folder: GroupFolder, prefix: str) -> Iterator[StoredObject]:
    """Yield every object whose key begins with the prefix, in S3's order, a thousand with each call. Raises NoAnswer."""
    pages = s3_client(folder, Purpose.BROWSE).get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=prefix)
    try:
        for page in pages:
            for entry in page.get("Contents", []):
                yield StoredObject(entry["Key"], entry["Size"], entry["ETag"])
    except (BotoCoreError, ClientError) as error:
        raise _no_answer(error) from error


def look_up_objects(folder: GroupFolder, keys: Sequence[str]) -> list[StoredObject]:
    """Return these objects, in this order. Raises NotFound naming one that is missing, or NoAnswer."""
    client = s3_client(folder, Purpose.BROWSE)

    def look(key: str) -> StoredObject:
        try:
            head = presence.head(client, folder.bucket, key)
        except (BotoCoreError, ClientError) as error:
            raise _no_answer(error) from error
        if head is None:
            raise NotFound(f"{visible(key)} is not there any more. Load the page again to see what is.")
        return StoredObject(key, head["ContentLength"], head["ETag"])

    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        return list(pool.map(look, keys))


def read_object(folder: GroupFolder, stored: StoredObject) -> Iterator[bytes]:
    """Yield the object's content in pieces, whole and unchanged. Raises BrokenTransfer otherwise."""
    offset, failures = 0, 0
    while offset < stored.size:
        try:
            for piece in _pieces(folder, stored, offset):
                offset, failures = offset + len(piece), 0
                yield piece
            if offset != stored.size:
                raise BrokenTransfer(f"{stored.key} ended at {offset} of {stored.size} bytes.")
        except ClientError as error:
            raise BrokenTransfer(f"{stored.key} could not be read: {error}") from error
        except BotoCoreError as error:
            failures += 1
            if failures == MAX_TRIES:
                raise BrokenTransfer(f"{stored.key} broke off at {offset} of {stored.size} bytes: {error}") from error


def read_first_bytes(folder: GroupFolder, stored: StoredObject, max_bytes: int) -> bytes:
    """Return the object's first `max_bytes` bytes. Raises NotFound if it changed since it was looked up, or NoAnswer."""
    if not stored.size:
        # S3 refuses a range of nothing.
        return b""
    client = s3_client(folder, Purpose.BROWSE)
    try:
        answer = client.get_object(Bucket=folder.bucket, Key=stored.key, IfMatch=stored.etag, Range=f"bytes=0-{max_bytes - 1}")
        return answer["Body"].read()
    except ClientError as error:
        if status_of(error) == 412 or presence.is_missing(client, folder.bucket, stored.key, error):
            raise NotFound(f"{stored.key} was changed or deleted a moment ago. Load the page again to see what is.") from error
        raise _no_answer(error) from error
    except BotoCoreError as error:
        raise _no_answer(error) from error


def record_download(folder: GroupFolder, prefix: str, files: Sequence[StoredObject], actor: Actor) -> None:
    """Record in the audit log that the server sends these files."""
    record(
        actor,
        "files.download",
        f"{folder.group.slug} in {folder.analysis.slug}",
        bucket=folder.bucket,
        prefix=prefix,
        count=len(files),
        bytes=sum(stored.size for stored in files),
    )


def delete_objects(folder: GroupFolder, keys: Sequence[str], actor: Actor) -> list[KeyOutcome]:
    """Hide these objects behind delete markers, which `restore_objects` removes again; no version is lost.

    At most MAX_KEYS, each in the folders that members may clean. Raises PermissionDenied before anything is deleted.
    """
    _require_write(folder)
    check_keys(folder, keys, folders=CLEANABLE_FOLDERS, may_have_dots=True)
    outcomes = _delete(s3_client(folder, Purpose.DELETE), folder.bucket, keys)
    _record(actor, "files.delete", folder, outcomes)
    return outcomes


def restore_objects(folder: GroupFolder, deletions: Sequence[Deletion], actor: Actor) -> list[KeyOutcome]:
    """Remove these delete markers, so that the objects are back. Anything but a delete marker is refused.

    At most MAX_KEYS. Raises PermissionDenied before anything is changed.
    """
    _require_write(folder)
    check_keys(folder, [deletion.key for deletion in deletions], folders=CLEANABLE_FOLDERS, may_have_dots=True)
    client = s3_client(folder, Purpose.RESTORE)
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        outcomes = list(pool.map(lambda deletion: _remove_marker(client, folder.bucket, deletion), deletions))
    _record(actor, "files.restore", folder, outcomes)
    return outcomes


def _remove_marker(client: "S3Client", bucket: str, deletion: Deletion) -> KeyOutcome:
    # What a version is never changes, so nothing can come between looking and deleting. One by one, not a batch: with
    # DeleteObjects an empty version would delete the file itself.
    key, version = deletion.key, deletion.version
    if why := _objection(client, bucket, deletion):
        return KeyOutcome(key, error=why)
    try:
        client.delete_object(Bucket=bucket, Key=key, VersionId=version)
    except (BotoCoreError, ClientError) as error:
        return KeyOutcome(key, error=_explain(error))
    return KeyOutcome(key, marker=version)


def _objection(client: "S3Client", bucket: str, deletion: Deletion) -> str:
    """Return why this is not a delete marker that may be removed; empty if it is.

    S3 answers 405 for a marker (API reference, HeadObject).
    """
    try:
        client.head_object(Bucket=bucket, Key=deletion.key, VersionId=deletion.version)
    except ClientError as error:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        if status_of(error) == 405 and headers.get("x-amz-delete-marker") == "true":
            return ""
        if status_of(error) == 400 or presence.is_missing(client, bucket, deletion.key, error, deletion.version):
            return "There is no such deletion; it may have been undone already."
        return _explain(error)
    except BotoCoreError as error:
        return _explain(error)
    return "This is a version of the file and not its deletion. It was left as it is."


def _delete(client: "S3Client", bucket: str, keys: Sequence[str]) -> list[KeyOutcome]:
    odd = [key for key in keys if _NOT_IN_XML.search(key)]
    plain = [key for key in keys if not _NOT_IN_XML.search(key)]
    together = _delete_together(client, bucket, plain) if plain else []
    return [*together, *(_delete_alone(client, bucket, key) for key in odd)]


def _delete_together(client: "S3Client", bucket: str, keys: Sequence[str]) -> list[KeyOutcome]:
    try:
        answer = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    except (BotoCoreError, ClientError) as error:
        return [KeyOutcome(key, error=_explain(error)) for key in keys]
    done = [KeyOutcome(answered["Key"], marker=answered.get("DeleteMarkerVersionId", "")) for answered in answer.get("Deleted", [])]
    failed = [
        KeyOutcome(refused["Key"], error=_in_words(refused.get("Code", ""), refused.get("Message", "")))
        for refused in answer.get("Errors", [])
    ]
    return [*done, *failed]


def _delete_alone(client: "S3Client", bucket: str, key: str) -> KeyOutcome:
    try:
        return KeyOutcome(key, marker=client.delete_object(Bucket=bucket, Key=key).get("VersionId", ""))
    except (BotoCoreError, ClientError) as error:
        return KeyOutcome(key, error=_explain(error))


def _pieces(folder: GroupFolder, stored: StoredObject, offset: int) -> Iterator[bytes]:
    # Asked for anew each time: a long download outlives a session.
    client = s3_client(folder, Purpose.BROWSE)
    more: Any = {"Range": f"bytes={offset}-"} if offset else {}
    answer = client.get_object(Bucket=folder.bucket, Key=stored.key, IfMatch=stored.etag, **more)
    yield from answer["Body"].iter_chunks(CHUNK_BYTES)


def _require_write(folder: GroupFolder) -> None:
    if not folder.is_writable:
        raise PermissionDenied(
            f"{folder.group.name} may only read in {folder.analysis.name}. Nothing was changed; "
            "ask an administrator to let it write."
        )


def _record(actor: Actor, action: str, folder: GroupFolder, outcomes: Sequence[KeyOutcome]) -> None:
    # After the deed, because S3 knows no transaction; what S3 refused is on record too.
    done = [outcome for outcome in outcomes if not outcome.error]
    record(
        actor,
        action,
        f"{folder.group.slug} in {folder.analysis.slug}",
        bucket=folder.bucket,
        count=len(done),
        first=[outcome.key for outcome in done[:MAX_NAMED]],
        markers=[outcome.marker for outcome in done],
        refused=len(outcomes) - len(done),
    )


def _explain(error: BotoCoreError | ClientError) -> str:
    if isinstance(error, ClientError):
        return _in_words(error.response.get("Error", {}).get("Code", ""), str(error))
    return f"S3 did not answer ({error}). Load the list again to see what is there."


def _no_answer(error: BotoCoreError | ClientError) -> NoAnswer:
    return NoAnswer(f"S3 did not say what is there: {error}. Nothing was changed; try again.")


def _in_words(code: str, message: str) -> str:
    if code in ("AccessDenied", "403"):
        return "AWS does not let your group do this here. It was left as it is."
    return f"S3 refused it: {message or code}. It was left as it is."

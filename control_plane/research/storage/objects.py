"""What the server itself does with a place's objects: look them up, read, delete, and bring back what was deleted."""

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
AT_ONCE = 8
# A transfer that S3 or the network breaks off goes on where it stood, so often without a byte in between.
TRIES = 4
FIRST_NAMED = 20
# What XML 1.0 cannot carry, or would change: such keys cannot stand in the body of DeleteObjects.
_NOT_IN_XML = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Stored:
    """One object as S3 holds it. `etag` pins the very content that was meant."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one key: the delete marker that hides it or did, or why nothing was done."""

    key: str
    marker: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A key, and the version of it that the delete marker is."""

    key: str
    version: str


class NoAnswer(Refused):
    """S3 did not say what is there."""


class Broken(RuntimeError):
    """An object could not be read to its end as it was when it was looked up."""


def has_dot_segment(key: str) -> bool:
    """Tell whether a part of the key is `.` or `..`: S3 keeps such a part, and a browser takes it out of an address."""
    return not {".", ".."}.isdisjoint(key.split("/"))


def check_keys(place: GroupFolder, keys: Iterable[str], *, folders: Sequence[str] = (), may_have_dots: bool = False) -> None:
    """Raise PermissionDenied for a key outside the group's own prefix (and these folders of it), or one that climbs out.

    `may_have_dots` is for callers that have S3 itself look for the very key. Even then one that, read as a path, leads out of the
    folder is refused.
    """
    allowed = tuple(f"{place.prefix}{folder}/" for folder in folders) or (place.prefix,)
    for key in keys:
        if not key.startswith(allowed):
            where = " and ".join(f"{name}/" for name in folders) if folders else "the group’s own folder"
            raise PermissionDenied(f"{key!r} does not lie in {where} of {place.group.name}. Nothing was changed.")
        if not f"{posixpath.normpath(key)}/".startswith(allowed):
            raise PermissionDenied(f"{key!r} has a part that climbs to another folder. Nothing was changed.")
        if has_dot_segment(key) and not may_have_dots:
            raise PermissionDenied(
                f"{key!r} has a part “.” or “..”, which other programs take for another folder. Nothing was changed. "
                "Copy it to a name without such a part first."
            )


def list_below(place: GroupFolder, prefix: str) -> Iterator[Stored]:
    """Every object whose key begins with the prefix, in S3's order, a thousand with each call. Raises NoAnswer."""
    pages = s3_client(place, Purpose.BROWSE).get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=prefix)
    try:
        for page in pages:
            for entry in page.get("Contents", []):
                yield Stored(entry["Key"], entry["Size"], entry["ETag"])
    except (BotoCoreError, ClientError) as error:
        raise _no_answer(error) from error


def look_up(place: GroupFolder, keys: Sequence[str]) -> list[Stored]:
    """These objects, in this order. Raises NotFound naming one that is not there, or NoAnswer."""
    client = s3_client(place, Purpose.BROWSE)

    def look(key: str) -> Stored:
        try:
            found = presence.head(client, place.bucket, key)
        except (BotoCoreError, ClientError) as error:
            raise _no_answer(error) from error
        if found is None:
            raise NotFound(f"{visible(key)} is not there any more. Load the page again to see what is.")
        return Stored(key, found["ContentLength"], found["ETag"])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(look, keys))


def read(place: GroupFolder, stored: Stored) -> Iterator[bytes]:
    """The object's content in pieces, whole and unchanged. Raises Broken where that cannot be had."""
    offset, failures = 0, 0
    while offset < stored.size:
        try:
            for piece in _pieces(place, stored, offset):
                offset, failures = offset + len(piece), 0
                yield piece
            if offset != stored.size:
                raise Broken(f"{stored.key} ended at {offset} of {stored.size} bytes.")
        except ClientError as error:
            raise Broken(f"{stored.key} could not be read: {error}") from error
        except BotoCoreError as error:
            failures += 1
            if failures == TRIES:
                raise Broken(f"{stored.key} broke off at {offset} of {stored.size} bytes: {error}") from error


def read_first(place: GroupFolder, stored: Stored, most: int) -> bytes:
    """The object's first bytes, `most` of them at most. Raises NotFound where it is not as it was looked up, or NoAnswer."""
    if not stored.size:
        # S3 refuses a range of nothing.
        return b""
    client = s3_client(place, Purpose.BROWSE)
    try:
        answer = client.get_object(Bucket=place.bucket, Key=stored.key, IfMatch=stored.etag, Range=f"bytes=0-{most - 1}")
        return answer["Body"].read()
    except ClientError as error:
        if status_of(error) == 412 or presence.is_missing(client, place.bucket, stored.key, error):
            raise NotFound(f"{stored.key} was changed or deleted a moment ago. Load the page again to see what is.") from error
        raise _no_answer(error) from error
    except BotoCoreError as error:
        raise _no_answer(error) from error


def record_download(place: GroupFolder, prefix: str, files: Sequence[Stored], actor: Actor) -> None:
    """Put on record that the server sends these files."""
    record(
        actor,
        "files.download",
        f"{place.group.slug} in {place.analysis.slug}",
        bucket=place.bucket,
        prefix=prefix,
        count=len(files),
        bytes=sum(one.size for one in files),
    )


def delete(place: GroupFolder, keys: Sequence[str], actor: Actor) -> list[Outcome]:
    """Hide these objects behind delete markers, which `restore` takes away again; no version is lost.

    At most MAX_KEYS, each in the folders that members may clean. Raises PermissionDenied before anything is deleted.
    """
    _require_write(place)
    check_keys(place, keys, folders=CLEANABLE_FOLDERS, may_have_dots=True)
    outcomes = _delete(s3_client(place, Purpose.DELETE), place.bucket, keys)
    _record(actor, "files.delete", place, outcomes)
    return outcomes


def restore(place: GroupFolder, deletions: Sequence[Deletion], actor: Actor) -> list[Outcome]:
    """Take these delete markers away, so that what they hide is there again. Anything but a delete marker is refused.

    At most MAX_KEYS. Raises PermissionDenied before anything is changed.
    """
    _require_write(place)
    check_keys(place, [one.key for one in deletions], folders=CLEANABLE_FOLDERS, may_have_dots=True)
    client = s3_client(place, Purpose.RESTORE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(lambda one: _bring_back(client, place.bucket, one), deletions))
    _record(actor, "files.restore", place, outcomes)
    return outcomes


def _bring_back(client: "S3Client", bucket: str, deletion: Deletion) -> Outcome:
    # What a version is never changes, so nothing can come between looking and deleting. One by one, not a batch: with
    # DeleteObjects an empty version would delete the file itself.
    key, version = deletion.key, deletion.version
    if why := _objection(client, bucket, deletion):
        return Outcome(key, error=why)
    try:
        client.delete_object(Bucket=bucket, Key=key, VersionId=version)
    except (BotoCoreError, ClientError) as error:
        return Outcome(key, error=_explain(error))
    return Outcome(key, marker=version)


def _objection(client: "S3Client", bucket: str, deletion: Deletion) -> str:
    """Why this is not a delete marker that may go, or nothing. S3 answers 405 for a marker (API reference, HeadObject)."""
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


def _delete(client: "S3Client", bucket: str, keys: Sequence[str]) -> list[Outcome]:
    odd = [key for key in keys if _NOT_IN_XML.search(key)]
    plain = [key for key in keys if not _NOT_IN_XML.search(key)]
    together = _delete_together(client, bucket, plain) if plain else []
    return [*together, *(_delete_alone(client, bucket, key) for key in odd)]


def _delete_together(client: "S3Client", bucket: str, keys: Sequence[str]) -> list[Outcome]:
    try:
        answer = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    except (BotoCoreError, ClientError) as error:
        return [Outcome(key, error=_explain(error)) for key in keys]
    done = [Outcome(one["Key"], marker=one.get("DeleteMarkerVersionId", "")) for one in answer.get("Deleted", [])]
    failed = [Outcome(one["Key"], error=_in_words(one.get("Code", ""), one.get("Message", ""))) for one in answer.get("Errors", [])]
    return [*done, *failed]


def _delete_alone(client: "S3Client", bucket: str, key: str) -> Outcome:
    try:
        return Outcome(key, marker=client.delete_object(Bucket=bucket, Key=key).get("VersionId", ""))
    except (BotoCoreError, ClientError) as error:
        return Outcome(key, error=_explain(error))


def _pieces(place: GroupFolder, stored: Stored, offset: int) -> Iterator[bytes]:
    # Asked for anew each time: a long download outlives a session.
    client = s3_client(place, Purpose.BROWSE)
    more: Any = {"Range": f"bytes={offset}-"} if offset else {}
    answer = client.get_object(Bucket=place.bucket, Key=stored.key, IfMatch=stored.etag, **more)
    yield from answer["Body"].iter_chunks(CHUNK_BYTES)


def _require_write(place: GroupFolder) -> None:
    if not place.is_writable:
        raise PermissionDenied(
            f"{place.group.name} may only read in {place.analysis.name}. Nothing was changed; ask an administrator to let it write."
        )


def _record(actor: Actor, action: str, place: GroupFolder, outcomes: Sequence[Outcome]) -> None:
    # After the deed, because S3 knows no transaction; what S3 refused is on record too.
    done = [one for one in outcomes if not one.error]
    record(
        actor,
        action,
        f"{place.group.slug} in {place.analysis.slug}",
        bucket=place.bucket,
        count=len(done),
        first=[one.key for one in done[:FIRST_NAMED]],
        markers=[one.marker for one in done],
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

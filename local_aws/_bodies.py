"""Bodies of S3's objects and parts, in files: a copy, a version or a joined upload refers to bytes that are there, and holds none.

ministack keeps the bytes of every version and part in memory, joins and hashes them anew to complete an upload, and writes them to
disk a second time when a version is succeeded. Here each body that arrives is written once, to a file of its own in one folder.
In ministack's records a `Body` stands where `bytes` stood: a list of segments of such files.

ministack's sidecar of a key (JSON, replaced in one step) names the segments of each of the key's versions. So it alone decides
what there is after a power cut: a body is complete before a sidecar names it, and files that none names are removed at the start.
"""

import asyncio
import hashlib
import inspect
import json
import shutil
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple, Self

from ministack.core.responses import StreamingResponse, get_region, request_scope
from ministack.services import s3

# Bytes that are read and sent at once.
PIECE = 2**20
# In a sidecar: version id -> segments, each as file name, offset and length in bytes.
FIELD = "bodies"
Named = list[tuple[str, int, int]]
Record = dict[str, Any]
Answer = tuple[int, dict[str, str], Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
# In ministack's completion of an upload: the two places that need each part's bytes, and what needs a reference alone.
COMPLETION = {
    'hashlib.md5(stored["body"]).digest()': """bytes.fromhex(stored["etag"].strip('"'))""",
    'b"".join(combined_parts)': "_joined_body(combined_parts)",
}


class BodyFile:
    """A file that is removed when no segment refers to it any more; not at the end of the process, which refers to it on disk."""

    def __init__(self, path: Path) -> None:
        """Watch over the file, which may be about to be written."""
        self.path = path
        weakref.finalize(self, path.unlink, missing_ok=True).atexit = False


class Segment(NamedTuple):
    """A run of bytes in a file."""

    file: BodyFile
    offset: int
    length: int

    def is_on_disk(self) -> bool:
        """Return whether the file has all of these bytes."""
        try:
            return self.file.path.stat().st_size >= self.offset + self.length
        except FileNotFoundError:
            return False


class Body:
    """The bytes of an object or a part, which never change. Slices are references too."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        """Make the body of these segments, one after the other."""
        self.segments = tuple(segments)
        self._length = sum(segment.length for segment in self.segments)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, wanted: slice) -> "Body":
        first, end, _ = wanted.indices(self._length)
        return Body(self._segments_between(first, end))

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self

    def pieces(self) -> Iterator[bytes]:
        """Return the bytes, at most `PIECE` at once. Raises OSError where a file cannot be read."""
        for file, offset, length in self.segments:
            with file.path.open("rb") as source:
                source.seek(offset)
                for start in range(0, length, PIECE):
                    yield source.read(min(PIECE, length - start))

    def read(self) -> bytes:
        """Return all the bytes at once. Raises OSError where a file cannot be read."""
        return b"".join(self.pieces())

    def named(self) -> Named:
        """Return the segments as a sidecar holds them."""
        return [(segment.file.path.name, segment.offset, segment.length) for segment in self.segments]

    def _segments_between(self, first: int, end: int) -> Iterator[Segment]:
        start = 0
        for file, offset, length in self.segments:
            skipped, kept = max(first - start, 0), min(end - start, length)
            if skipped < kept:
                yield Segment(file, offset + skipped, kept - skipped)
            start += length


class Store:
    """The folder of the files. A file is one object in memory, however many bodies refer to it."""

    def __init__(self, folder: Path) -> None:
        """Use this folder, which may not be there yet."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._files: weakref.WeakValueDictionary[str, BodyFile] = weakref.WeakValueDictionary()
        # Until every sidecar is read: a file of a body that is lost may be one of a copy's, too.
        self._named: list[Body] = []

    def write(self, data: bytes) -> Body:
        """Write the bytes to a file of their own. Raises OSError where the disk does not take them; then no file is left."""
        file = self._file(token_hex(8))
        with file.path.open("xb") as target:
            target.write(data)
        return Body([Segment(file, 0, len(data))])

    def take(self, path: str) -> Body:
        """Return the body that is all of this file, which gets a second name in the folder. Raises OSError."""
        file = self._file(token_hex(8))
        file.path.hardlink_to(path)
        return Body([Segment(file, 0, file.path.stat().st_size)])

    def find(self, named: Named) -> Body | None:
        """Return the body that a sidecar names; None where bytes of it are missing, as after a deletion that was cut off."""
        body = Body(Segment(self._file(name), offset, length) for name, offset, length in named)
        self._named.append(body)
        return body if all(segment.is_on_disk() for segment in body.segments) else None

    def remove_unnamed(self) -> None:
        """Remove the files that no body refers to, once every sidecar is read."""
        self._named.clear()
        for path in self._folder.iterdir():
            if path.name not in self._files:
                path.unlink()

    def _file(self, name: str) -> BodyFile:
        return self._files.get(name) or self._files.setdefault(name, BodyFile(self._folder / name))


def install(folder: Path) -> None:
    """Keep bodies in this folder, and find those of the last run there. Before what wraps S3's operations."""
    store = Store(folder)
    _keep_objects(store)
    _keep_parts(store)
    _complete_by_reference()
    _read_pieces()
    _answer_in_pieces()
    is_complete = _restore_all(store)
    _take_over(store)
    if is_complete:
        store.remove_unnamed()
        shutil.rmtree(Path(s3.DATA_DIR) / s3._VERSIONS_DIR, ignore_errors=True)


def joined(bodies: Iterable[Body]) -> Body:
    """Return these bodies one after the other as one."""
    return Body(chain.from_iterable(body.segments for body in bodies))


def _keep_objects(store: Store) -> None:
    persist: Callable[[str, str, Record], None] = s3._persist_object
    write: Callable[..., None] = s3._atomic_write
    history: Callable[[str, str], Record] = s3._key_history_meta

    def persist_object(bucket: str, key: str, record: Record) -> None:
        if isinstance(record["body"], bytes):
            record["body"] = store.write(record["body"])
        body = record["body"]
        for version in s3._object_versions.get((bucket, key), ()):
            if version["version_id"] == _version_of(record):
                version["data"] = body
        persist(bucket, key, record)
        # ministack takes it out of the record, to read it from its own file.
        record["body"] = body

    def write_sidecar(path: str, data: Any, **options: Any) -> None:
        if not isinstance(data, Body):
            write(path, data, **options)

    def history_with_bodies(bucket: str, key: str) -> Record:
        return {**history(bucket, key), FIELD: {version: body.named() for version, body in _bodies_of(bucket, key)}}

    s3._persist_object, s3._atomic_write, s3._key_history_meta = persist_object, write_sidecar, history_with_bodies
    # A version that is succeeded keeps its body, in the folder.
    s3._persist_displaced_version = lambda *_: None


def _version_of(record: Mapping[str, Any]) -> str:
    return record.get("version_id") or "null"


def _bodies_of(bucket: str, key: str) -> Iterator[tuple[str, Body]]:
    """Return the version id and the body of the key's object, and of each of its versions; none that the disk did not take."""
    record = s3._buckets[bucket]["objects"].get(key, {})
    held = [(_version_of(record), record.get("body"))]
    held += [(version["version_id"], version.get("data")) for version in s3._object_versions.get((bucket, key), ())]
    for version_id, body in held:
        if isinstance(body, Body):
            yield version_id, body


def _keep_parts(store: Store) -> None:
    upload: Callable[..., Answer] = s3._upload_part

    def upload_part(bucket: str, key: str, body: bytes, query: Any, headers: Any) -> Answer:
        answer = upload(bucket, key, body, query, headers)
        if answer[0] < 300:
            parts, number = s3._multipart_uploads[s3._qp(query, "uploadId")]["parts"], int(s3._qp(query, "partNumber"))
            # Out of the upload first: a part that the disk does not take is none.
            part = parts.pop(number)
            parts[number] = {**part, "body": store.write(body)}
        return answer

    s3._upload_part = upload_part


def _complete_by_reference() -> None:
    """Change ministack's completion of an upload in two places. Raises RuntimeError where its text is another."""
    source = inspect.getsource(s3._complete_multipart_upload)
    for theirs, ours in COMPLETION.items():
        if source.count(theirs) != 1:
            raise RuntimeError(f"ministack completes an upload in another way now: {theirs} is not there once.")
        source = source.replace(theirs, ours)
    s3._joined_body = joined
    exec(compile(source, "<ministack's _complete_multipart_upload, by reference>", "exec"), vars(s3))  # noqa: S102 -- its own text


def _read_pieces() -> None:
    """Have what needs bytes read them: a copied part's ETag, a copy's new checksum, and other services."""
    md5: Callable[[Any], str] = s3.md5_hash
    checksum: Callable[[str, Any], str | None] = s3._compute_s3_checksum
    data: Callable[..., Any] = s3._get_object_data

    def md5_in_pieces(body: Any) -> str:
        if not isinstance(body, Body):
            return md5(body)
        digest = hashlib.md5(usedforsecurity=False)
        for piece in body.pieces():
            digest.update(piece)
        return digest.hexdigest()

    s3.md5_hash = md5_in_pieces
    s3._compute_s3_checksum = lambda algorithm, body: checksum(algorithm, _bytes(body))
    s3._get_object_data = lambda *arguments, **named: _bytes(data(*arguments, **named))


def _bytes(body: Any) -> Any:
    return body.read() if isinstance(body, Body) else body


def _answer_in_pieces() -> None:
    """Send a body of more than one piece as it is read; ministack gets the bytes of any other."""
    get: Callable[..., Answer] = s3._get_object
    handle: Callable[..., Awaitable[Answer]] = s3.handle_request

    def get_object(*arguments: Any, **named: Any) -> Answer:
        status, headers, body = get(*arguments, **named)
        return status, headers, _bytes(body) if len(body) <= PIECE else body

    async def handle_request(*arguments: Any, **named: Any) -> Answer:
        status, headers, body = await handle(*arguments, **named)
        if isinstance(body, Body):
            return status, headers, StreamingResponse(lambda send, receive: _send(body, send, receive))
        return status, headers, body

    s3._get_object, s3.handle_request = get_object, handle_request


async def _send(body: Body, send: Send, receive: Receive) -> None:
    gone = asyncio.ensure_future(_has_gone(receive))
    try:
        for piece in body.pieces():
            if gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    finally:
        gone.cancel()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _has_gone(receive: Receive) -> None:
    """Return when the client has gone. What comes before is the request's body: nothing, for who reads."""
    while (await receive())["type"] != "http.disconnect":
        continue


def _restore_all(store: Store) -> bool:
    """Restore the keys whose sidecars name bodies. Returns whether every sidecar could be read."""
    # Asked of versions that have a body alone.
    s3._version_file_exists = lambda *_: True
    is_complete = True
    for folder in Path(s3.DATA_DIR).glob("[0-9]*/*/"):
        for sidecar, key in s3._persisted_key_files(str(folder), True):
            try:
                kept = json.loads(Path(sidecar).read_text())
            except (OSError, ValueError):
                is_complete = False
                continue
            if FIELD in kept:
                _restore(store, folder.parent.name, folder.name, kept.get("key") or key, kept)
                # Of before this folder, where the take-over was cut off.
                _remove_files([sidecar.removesuffix(".meta.json")])
    return is_complete


def _restore(store: Store, account: str, name: str, key: str, kept: Record) -> None:
    found = {version: store.find(named) for version, named in kept[FIELD].items()}
    bodies = {version: body for version, body in found.items() if body is not None}
    bucket = s3._buckets._data[(account, name)]
    bucket["objects"].pop(key, None)
    if not kept.get("is_delete_marker") and _version_of(kept) in bodies:
        record = {field: kept.get(field) for field in s3._object_meta_from_record({})}
        bucket["objects"][key] = {**record, "body": bodies[_version_of(kept)]}
    versions = [entry for entry in kept.get("versions", ()) if entry.get("is_delete_marker") or entry["version_id"] in bodies]
    s3._load_persisted_history(account, bucket, name, key, {**kept, "versions": versions})
    for version in s3._object_versions._data.get((account, (name, key)), ()):
        if not version.get("is_delete_marker"):
            version["data"] = bodies[version["version_id"]]


def _take_over(store: Store) -> None:
    """Take over the bodies that ministack kept beside its sidecars before there was this folder."""
    keys = {(account, name, key) for (account, name), bucket in s3._buckets._data.items() for key in bucket["objects"]}
    keys |= {(account, name, key) for account, (name, key) in s3._object_versions._data if (account, name) in s3._buckets._data}
    for account, name, key in keys:
        with request_scope(account, get_region()):
            if taken := list(_take_over_key(store, name, key)):
                s3._persist_version_state(name, key, s3._buckets[name])
                _remove_files(taken)


def _take_over_key(store: Store, name: str, key: str) -> Iterator[str]:
    """Give the key's records their bodies. Returns the paths that these had."""
    record = s3._buckets[name]["objects"].get(key)
    if record is not None and record["body"] is None:
        path = s3._object_disk_path(name, key)
        record["body"] = store.take(path)
        yield path
    for version in s3._object_versions.get((name, key), ()):
        if version.get("is_delete_marker") or version["data"] is not None:
            continue
        path = s3._version_disk_path(name, key, version["version_id"])
        if Path(path).is_file():
            version["data"] = store.take(path)
            yield path
        elif record is not None:
            version["data"] = record["body"]


def _remove_files(paths: Iterable[str]) -> None:
    for path in map(Path, paths):
        if path.is_file():
            path.unlink()

"""Stores of backups: a folder of private files, or an S3 prefix.

In S3 the bucket encrypts with its own key (`BackupStack`), so nothing here names a key; in a folder the files are readable by
their owner alone, and protection of the disk itself is up to disk encryption.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from control_plane.base import aws
from control_plane.base.aws import Place
from control_plane.base.sizes import format_size
from control_plane.operation.backups.documents import (
    MANIFEST_SUFFIX,
    MAX_MANIFEST_BYTES,
    BackupManifest,
    newest_first,
    parse_manifest,
)
from control_plane.operation.backups.errors import BadBackup, NameInUse, NoBackup, RemovalRefused, StoreFailed

ReportProgress = Callable[[str, float], None]
CHUNK_BYTES = 1 << 20
# S3's limit for one PutObject request. A control plane's database is far smaller.
MAX_OBJECT_BYTES = 5 * 1024**3


class BackupStore(Protocol):
    """A store of finished backups by name. Every method raises StoreFailed."""

    location: str
    # True if old backups are removed by us; a bucket has a lifecycle for that.
    expires: bool

    def names(self) -> list[str]:
        """Return the names of finished backups, newest first."""

    def manifest(self, name: str) -> BackupManifest:
        """Return the manifest of a backup. Raises NoBackup or BadBackup."""

    def fetch(self, name: str, to: Path, size: int) -> None:
        """Copy a backup into a file. Raises NoBackup, or BadBackup if it is longer than `size` bytes."""

    def put(self, name: str, source: Path) -> None:
        """Store a new file, which is no finished backup yet. Raises NameInUse."""

    def finish(self, manifest: BackupManifest) -> None:
        """Store the manifest, which finishes the backup."""

    def locked_until(self, name: str) -> datetime | None:
        """Return until when the store locks a backup against deletion; None if there is no known lock. Raises NoBackup."""

    def remove(self, name: str) -> None:
        """Remove a backup, finished or not. Raises RemovalRefused if that is not allowed."""

    def unfinished(self) -> list[str]:
        """Return the names of stored files without a manifest; used only if `expires`."""


def open_store(location: str) -> BackupStore:
    """Return the store at a folder's path or at `s3://bucket/prefix`."""
    parts = urlsplit(location)
    if parts.scheme == "s3":
        return S3Store(parts.netloc, parts.path.strip("/"))
    return FolderStore(Path(location))


class FolderStore:
    """Files in a folder on this machine, readable by their owner alone."""

    expires = True

    def __init__(self, folder: Path) -> None:
        self._folder, self.location = folder, str(folder)

    def names(self) -> list[str]:
        with self._translated_errors():
            if not self._folder.exists():
                return []
            return newest_first(path.name.removesuffix(MANIFEST_SUFFIX) for path in self._folder.glob(f"*{MANIFEST_SUFFIX}"))

    def manifest(self, name: str) -> BackupManifest:
        with self._translated_errors(), self._path(name, MANIFEST_SUFFIX).open("rb") as file:
            return parse_manifest(name, file.read(MAX_MANIFEST_BYTES))

    def fetch(self, name: str, to: Path, size: int) -> None:
        with self._translated_errors(), self._path(name).open("rb") as source, private_file(to) as target:
            copy_at_most(source, target, size, name)

    def put(self, name: str, source: Path) -> None:
        with self._translated_errors(), source.open("rb") as file:
            self._write(self._folder / name, file)

    def finish(self, manifest: BackupManifest) -> None:
        with self._translated_errors():
            final = self._folder / f"{manifest.name}{MANIFEST_SUFFIX}"
            new = final.with_name(f".{final.name}.new")
            new.unlink(missing_ok=True)
            with private_file(new) as file:
                file.write(manifest.to_json().encode())
            new.replace(final)
            _sync_folder(self._folder)

    def locked_until(self, name: str) -> datetime | None:
        return None

    def remove(self, name: str) -> None:
        with self._translated_errors():
            # The manifest first: a file without one is no backup.
            (self._folder / f"{name}{MANIFEST_SUFFIX}").unlink(missing_ok=True)
            (self._folder / name).unlink(missing_ok=True)

    def unfinished(self) -> list[str]:
        with self._translated_errors():
            there = newest_first(path.name for path in self._folder.glob("cohort-*"))
        finished = set(self.names())
        return [name for name in there if name not in finished]

    def _path(self, name: str, suffix: str = "") -> Path:
        if newest_first([name]) != [name]:
            raise _no_backup(name, self.location)
        path = self._folder / f"{name}{suffix}"
        if not path.is_file():
            raise _no_backup(name, self.location)
        return path

    def _write(self, path: Path, source: BinaryIO) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with private_file(path) as file:
                shutil.copyfileobj(source, file, CHUNK_BYTES)
        except FileExistsError as error:
            raise NameInUse from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreFailed(
                f"The folder of backups {self._folder} could not be used: {error.strerror}. "
                "The database is as it was; see BACKUP_STORE, and that the disk has room."
            ) from error


class S3Store:
    """Objects under a prefix of a bucket, which are never overwritten."""

    expires = False

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self.location = f"s3://{bucket}/{self._prefix}"
        self._client = aws.client("s3", Place.of_site())

    def names(self) -> list[str]:
        with self._translated_errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            keys = [item["Key"].removeprefix(self._prefix) for page in pages for item in page.get("Contents", [])]
        there = set(keys)
        return newest_first(
            key.removesuffix(MANIFEST_SUFFIX) for key in keys if key.endswith(MANIFEST_SUFFIX) and key[:-5] in there
        )

    def manifest(self, name: str) -> BackupManifest:
        with self._translated_errors(name):
            answer = self._client.get_object(Bucket=self._bucket, Key=f"{self._prefix}{name}{MANIFEST_SUFFIX}")
            return parse_manifest(name, answer["Body"].read(MAX_MANIFEST_BYTES))

    def fetch(self, name: str, to: Path, size: int) -> None:
        with self._translated_errors(name), private_file(to) as target:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name, ChecksumMode="ENABLED")
            copy_at_most(answer["Body"], target, size, name)

    def put(self, name: str, source: Path) -> None:
        if source.stat().st_size > MAX_OBJECT_BYTES:
            raise StoreFailed(
                f"The backup is larger than {format_size(MAX_OBJECT_BYTES)}, which S3 does not take at once. Nothing was stored."
            )
        with source.open("rb") as file:
            self._put(name, file)

    def finish(self, manifest: BackupManifest) -> None:
        self._put(f"{manifest.name}{MANIFEST_SUFFIX}", manifest.to_json().encode())

    def locked_until(self, name: str) -> datetime | None:
        with self._translated_errors(name):
            answers = [
                self._client.head_object(Bucket=self._bucket, Key=self._prefix + key) for key in (name, f"{name}{MANIFEST_SUFFIX}")
            ]
        # S3 shows the lock only to callers with s3:GetObjectRetention.
        return max(
            (answer["ObjectLockRetainUntilDate"] for answer in answers if "ObjectLockRetainUntilDate" in answer), default=None
        )

    def remove(self, name: str) -> None:
        with self._translated_errors():
            for key in (f"{name}{MANIFEST_SUFFIX}", name):
                try:
                    self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)
                except ClientError as error:
                    if error.response["Error"].get("Code") == "AccessDenied":
                        raise _removal_denied(name, self.location) from error
                    raise

    def unfinished(self) -> list[str]:
        return []

    def _put(self, key: str, body: "BinaryIO | bytes") -> None:
        with self._translated_errors():
            try:
                self._client.put_object(
                    Bucket=self._bucket, Key=self._prefix + key, Body=body, IfNoneMatch="*", ChecksumAlgorithm="CRC32"
                )
            except ClientError as error:
                if error.response["Error"].get("Code") in ("PreconditionFailed", "ConditionalRequestConflict"):
                    raise NameInUse from error
                raise

    @contextmanager
    def _translated_errors(self, name: str = "") -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            if name and isinstance(error, ClientError) and error.response["Error"].get("Code") in ("NoSuchKey", "404"):
                raise _no_backup(name, self.location) from error
            raise StoreFailed(
                f"The backups in {self.location} could not be reached: {error}. "
                "The database is as it was; see BACKUP_STORE, and the rights of who runs this."
            ) from error
        except OSError as error:
            raise StoreFailed(f"The disk could not be used: {error.strerror}. The database is as it was; make room.") from error


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Create a file that its owner alone may read, for the block; synced to the disk at its end. Raises FileExistsError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def copy_at_most(source: _Readable, target: BinaryIO, size: int, name: str) -> None:
    """Copy at most `size` bytes. Raises BadBackup if there are more."""
    copied = 0
    while chunk := source.read(CHUNK_BYTES):
        copied += len(chunk)
        if copied > size:
            raise BadBackup(f"{name} is longer than the {size:,} bytes that its manifest says.")
        target.write(chunk)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _removal_denied(name: str, location: str) -> RemovalRefused:
    return RemovalRefused(
        f"S3 does not let this identity delete {name} in {location}: a host never may, so that whoever breaks into it cannot "
        "either. Nothing was removed. The bucket ends old backups by its own rule (`retention.database` in site.toml); before "
        "that, an administrator of the AWS account can delete it in S3."
    )


def _no_backup(name: str, location: str) -> NoBackup:
    return NoBackup(
        f"There is no backup {name!r} in {location}. Nothing was changed; `manage.py backup list` shows those there are."
    )

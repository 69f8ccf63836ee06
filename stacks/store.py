"""Store of published manifests: a folder on one machine, a versioned S3 prefix on AWS."""

import os
import tempfile
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from stacks import names
from stacks.manifest import GroupManifest, ManifestError, PlatformManifest, parse, platform_key


class ManifestNotFound(LookupError):
    """No manifest is published under that name."""


class StoreUnavailable(RuntimeError):
    """The store could not be read or written; what was published before is unchanged."""


class ManifestStore(Protocol):
    """Published manifests by key (`platform.json`, `storage/<number>.json`, `groups/<slug>.json`)."""

    def read(self, key: str) -> str:
        """Return the text under `key`. Raises ManifestNotFound or StoreUnavailable."""

    def write(self, key: str, text: str) -> None:
        """Replace the text under `key`, whole or not at all. Raises StoreUnavailable."""

    def group_slugs(self) -> list[str]:
        """Return the slugs of all published groups, sorted. Raises StoreUnavailable."""

    def further_storage(self) -> list[int]:
        """Return the numbers of all published storage stacks after the first, sorted. Raises StoreUnavailable."""


def open_store(location: str) -> ManifestStore:
    """Return the store at a folder's path or at `s3://bucket/prefix`. Raises ValueError for anything else."""
    parts = urlsplit(location)
    if parts.scheme == "s3" and parts.netloc:
        return S3Store(bucket=parts.netloc, prefix=parts.path.strip("/"))
    if location and not parts.scheme:
        return FolderStore(Path(location))
    raise ValueError(f"The manifest store {location!r} is neither a folder nor s3://bucket/prefix (COHORT_MANIFEST_STORE).")


def read_group(store: ManifestStore, slug: str) -> GroupManifest:
    """Return the published manifest of a group. Raises ManifestNotFound, ManifestError or StoreUnavailable."""
    manifest = parse(store.read(f"groups/{names.check_known_slug(slug)}.json"))
    if not isinstance(manifest, GroupManifest) or manifest.slug != slug:
        raise ManifestError(f"The manifest stored for the group {slug!r} is that of something else.")
    return manifest


def read_platform(store: ManifestStore, number: int = 1) -> PlatformManifest:
    """Return the published manifest of one storage stack. Raises ManifestNotFound, ManifestError or StoreUnavailable."""
    manifest = parse(store.read(platform_key(number)))
    if not isinstance(manifest, PlatformManifest) or manifest.number != number:
        raise ManifestError(f"The manifest stored for {names.storage_stack(number)} is that of something else.")
    return manifest


def read_platforms(store: ManifestStore) -> list[PlatformManifest]:
    """Return the published manifests of all storage stacks, the first one first.

    Raises ManifestNotFound where there is no first one, ManifestError or StoreUnavailable.
    """
    return [read_platform(store, number) for number in (1, *store.further_storage())]


class FolderStore:
    """A store in a folder. Writes go to a temporary file first, so that a reader never meets half a manifest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> str:
        try:
            return (self._folder / key).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise _not_found(key, str(self._folder)) from error
        except OSError as error:
            raise _unavailable(str(self._folder), error) from error

    def write(self, key: str, text: str) -> None:
        path = self._folder / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
                new = Path(folder) / path.name
                with new.open("w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(path)
        except OSError as error:
            raise _unavailable(str(self._folder), error) from error

    def group_slugs(self) -> list[str]:
        return self._names("groups")

    def further_storage(self) -> list[int]:
        return _numbers(self._names("storage"))

    def _names(self, folder: str) -> list[str]:
        return sorted(path.stem for path in (self._folder / folder).glob("*.json"))


class S3Store:
    """A store under a prefix of a versioned bucket."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = boto3.client("s3")

    def read(self, key: str) -> str:
        try:
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read().decode("utf-8")
        except self._client.exceptions.NoSuchKey as error:
            raise _not_found(key, self._place) from error
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(self._place, error) from error

    def write(self, key: str, text: str) -> None:
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=self._prefix + key, Body=text.encode("utf-8"), ContentType="application/json"
            )
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(self._place, error) from error

    def group_slugs(self) -> list[str]:
        return self._names("groups")

    def further_storage(self) -> list[int]:
        return _numbers(self._names("storage"))

    def _names(self, folder: str) -> list[str]:
        prefix = f"{self._prefix}{folder}/"
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(self._place, error) from error
        return sorted(key.removeprefix(prefix).removesuffix(".json") for key in keys if key.endswith(".json"))

    @property
    def _place(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}"


def _numbers(texts: list[str]) -> list[int]:
    return sorted(int(name) for name in texts if name.isascii() and name.isdigit())


def _not_found(key: str, place: str) -> ManifestNotFound:
    return ManifestNotFound(
        f"No manifest {key!r} is published in {place}. Create the group in the control plane first, "
        "or point COHORT_MANIFEST_STORE at the right store."
    )


def _unavailable(place: str, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"The manifest store {place} could not be used: {error}. Nothing that was published changed.")

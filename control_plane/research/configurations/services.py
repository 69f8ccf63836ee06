"""Configurations of a group: YAML files under `configs/` in its folder. S3 keeps their versions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import regex
from botocore.exceptions import BotoCoreError, ClientError

from control_plane.access.groups.errors import NotGranted
from control_plane.accounts.validation import tidy_name
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import NotFound, Refused
from control_plane.base.visible import UNSEEN, visible
from control_plane.research.catalogue.documents import MAX_BYTES, Rewriting, Unreadable, portable_text
from control_plane.research.configurations.names import (
    CONFIGURATION_ENDINGS,
    CONFIGURATIONS,
    configuration_file,
    configuration_name,
)
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.objects import NoAnswer
from control_plane.research.storage.presence import is_missing, status_of
from control_plane.research.storage.sessions import Purpose, s3_client

MAX_NAME_CHARACTERS = 100
# In bytes; S3 takes 1,024 with the folders before it.
MAX_KEY_BYTES = 900
MAX_VERSIONS = 50
# Beginning that is shown of a file too large to be edited here.
MAX_SHOWN_BYTES = 100_000
# With marks, which Unicode counts to words and `re` does not: letters of many languages have no composed form.
_NAME = regex.compile(r"\w(?:[\w .-]*[\w-])?")


class InvalidConfiguration(Refused):
    """Name or text that cannot be saved."""


class NotEditable(InvalidConfiguration):
    """Object that cannot be edited as text here.

    `reason` says why; `shown` is its beginning, for display.
    """

    def __init__(self, reason: str, shown: str) -> None:
        kept = "It is kept, and jobs can be submitted with it. To change it, download it. Its beginning:"
        super().__init__(f"{reason} {kept}")
        self.reason, self.shown = reason, shown


class ChangedMeanwhile(Refused):
    """Save refused because somebody else saved or deleted the configuration. `current` is the text in S3 now, or None."""

    def __init__(self, message: str, current: "ConfigurationText | None") -> None:
        super().__init__(message)
        self.current = current


@dataclass(frozen=True, slots=True)
class Configuration:
    """Configuration as listed. `size` in bytes."""

    name: str
    key: str
    size: int
    modified: datetime
    etag: str


@dataclass(frozen=True, slots=True)
class ConfigurationText:
    """Content of a configuration or of one of its versions."""

    text: str
    etag: str
    version: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class ConfigurationVersion:
    """Version of a configuration. `size` in bytes."""

    id: str
    modified: datetime
    size: int
    is_latest: bool


def list_configurations(folder: GroupFolder) -> list[Configuration]:
    """Return the group's configurations by name, at most a thousand, with one request. Raises NoAnswer."""
    prefix = f"{folder.prefix}{CONFIGURATIONS}"
    try:
        listed = s3_client(folder, Purpose.BROWSE).list_objects_v2(Bucket=folder.bucket, Prefix=prefix, Delimiter="/")
    except (BotoCoreError, ClientError) as error:
        raise _no_answer(error) from error
    configurations = []
    for entry in listed.get("Contents", []):
        name = entry["Key"].removeprefix(prefix)
        if name.endswith(CONFIGURATION_ENDINGS):
            configurations.append(
                Configuration(configuration_name(name), entry["Key"], entry["Size"], entry["LastModified"], entry["ETag"])
            )
    return configurations


def configuration_key(folder: GroupFolder, name: str) -> str:
    """Return the key of a configuration. Raises InvalidConfiguration for a name that no configuration can have."""
    if name in ("", ".", "..") or "/" in name or not name.isprintable() or len(name.encode()) > MAX_KEY_BYTES:
        raise InvalidConfiguration(f"{name!r} is no name of a configuration. Nothing was changed.")
    return f"{folder.prefix}{CONFIGURATIONS}{configuration_file(name)}"


def clean_name(name: str) -> str:
    """Return the name for a new configuration, normalised. Raises InvalidConfiguration for names that fail in other tools."""
    name = tidy_name(name)
    if UNSEEN.search(name) or not (_NAME.fullmatch(name) and len(name) <= MAX_NAME_CHARACTERS):
        raise InvalidConfiguration(
            f"{name!r} is no name for a configuration: letters, digits, spaces, and . _ - within, up to {MAX_NAME_CHARACTERS}. "
            "Nothing was saved."
        )
    return name


def read_configuration(folder: GroupFolder, name: str, version: str = "") -> ConfigurationText:
    """Return the content of a configuration, or of this version.

    Raises NotFound, InvalidConfiguration (also NotEditable) or NoAnswer.
    """
    key = configuration_key(folder, name)
    more: Any = {"VersionId": version} if version else {}
    client = s3_client(folder, Purpose.BROWSE)
    try:
        answer = client.get_object(Bucket=folder.bucket, Key=key, **more)
        size = answer["ContentLength"]
        body = answer["Body"]
        content = body.read(MAX_SHOWN_BYTES) if size > MAX_BYTES else body.read()
        body.close()
    except ClientError as error:
        # S3 answers 400 for an unknown version, and 405 for a delete marker.
        if status_of(error) in (400, 405) or is_missing(client, folder.bucket, key, error, version):
            raise NotFound(f"There is no configuration {name!r} here (any more).") from error
        raise _no_answer(error) from error
    except BotoCoreError as error:
        raise _no_answer(error) from error
    if size > MAX_BYTES:
        raise NotEditable(
            f"{visible(name)} has more than the {MAX_BYTES // 1_000_000} MB that a configuration may have.",
            content.decode("utf-8-sig", errors="replace"),
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotEditable(
            f"{visible(name)} is no text in UTF-8.",
            content[:MAX_SHOWN_BYTES].decode("utf-8-sig", errors="replace"),
        ) from error
    return ConfigurationText(text.replace("\r\n", "\n"), answer["ETag"], answer.get("VersionId", ""), answer["LastModified"])


def list_versions(folder: GroupFolder, name: str) -> list[ConfigurationVersion]:
    """Return the versions of a configuration, newest first, at most MAX_VERSIONS, with one request. Raises NoAnswer."""
    key = configuration_key(folder, name)
    try:
        answer = s3_client(folder, Purpose.BROWSE).list_object_versions(Bucket=folder.bucket, Prefix=key, MaxKeys=MAX_VERSIONS)
    except (BotoCoreError, ClientError) as error:
        raise _no_answer(error) from error
    return [
        ConfigurationVersion(version["VersionId"], version["LastModified"], version["Size"], version["IsLatest"])
        for version in answer.get("Versions", [])
        if version["Key"] == key
    ]


def save_configuration(folder: GroupFolder, name: str, text: str, expected_etag: str, actor: Actor) -> list[Rewriting]:
    """Save the text as the newest version; earlier versions are kept. Returns the rewritings made for portability.

    `expected_etag` is that of the text that was edited, empty for a new configuration. Raises ChangedMeanwhile if S3 holds another
    text, InvalidConfiguration, NotGranted (a read-only group) or NoAnswer. The caller checks the text against the analysis.
    """
    try:
        written, rewritings = portable_text(text.replace("\r\n", "\n"))
    except Unreadable as refused:
        raise InvalidConfiguration(f"{refused.problem} Nothing was saved.") from refused
    _put(folder, name, written, expected_etag, actor)
    return rewritings


def restore_version(folder: GroupFolder, name: str, version: str, actor: Actor) -> ConfigurationText:
    """Save an old version as the newest, verbatim. Returns it. Raises as `read_configuration` and `save_configuration` do."""
    old = read_configuration(folder, name, version)
    try:
        etag = read_configuration(folder, name).etag
    except NotFound:
        etag = ""
    except NotEditable as error:
        raise InvalidConfiguration(f"{error.reason} Nothing was changed. Delete it first, then bring this version back.") from error
    _put(folder, name, old.text, etag, actor)
    return old


def _put(folder: GroupFolder, name: str, text: str, expected_etag: str, actor: Actor) -> None:
    key = configuration_key(folder, name)
    if not folder.is_writable:
        raise NotGranted(f"{folder.group.name} may only read in {folder.analysis.name}. Nothing was saved.")
    content = text.encode()
    if len(content) > MAX_BYTES:
        raise InvalidConfiguration(
            f"It has more than the {MAX_BYTES // 1_000_000} MB that a configuration may have. Nothing was saved."
        )
    _refuse_changed(folder, name, expected_etag)
    condition: Any = {"IfMatch": expected_etag} if expected_etag else {"IfNoneMatch": "*"}
    try:
        # Somebody may have saved since the check: S3 itself refuses then.
        done = s3_client(folder, Purpose.UPLOAD).put_object(
            Bucket=folder.bucket, Key=key, Body=content, ContentType="application/yaml", **condition
        )
    except ClientError as error:
        # 404 where it was deleted: a condition on what is to be replaced finds nothing (S3 user guide, "Conditional writes").
        if status_of(error) in (404, 409, 412):
            _refuse_changed(folder, name, expected_etag)
        raise NoAnswer(f"S3 did not take it: {error}. Nothing was saved; try again.") from error
    except BotoCoreError as error:
        raise NoAnswer(f"S3 did not take it: {error}. Nothing was saved, as far as is known; load the list to see.") from error
    record(
        actor,
        "configuration.save",
        f"{key} in {folder.bucket}",
        group=folder.group.slug,
        version=done.get("VersionId", ""),
        is_new=not expected_etag,
    )


def _refuse_changed(folder: GroupFolder, name: str, expected_etag: str) -> None:
    try:
        current = read_configuration(folder, name)
    except NotFound:
        if expected_etag:
            said = f"{visible(name)} was deleted meanwhile. Nothing was saved; save it again to have it back."
            raise ChangedMeanwhile(said, None) from None
        return
    if not expected_etag:
        raise ChangedMeanwhile(f"There is a {name!r} already. Nothing was saved; choose another name, or open that one.", current)
    if current.etag != expected_etag:
        raise ChangedMeanwhile(
            f"{visible(name)} was changed at {current.modified:%H:%M} UTC on {current.modified:%-d %B}, after you opened it. "
            "Nothing was saved.",
            current,
        )


def _no_answer(error: BotoCoreError | ClientError) -> NoAnswer:
    return NoAnswer(f"S3 did not give the configurations: {error}. Nothing was changed; try again.")

"""A backup's name, and its manifest: the small document beside it that describes its contents."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from control_plane.operation.backups.errors import BadBackup

FORMAT: Literal[1] = 1
SUFFIXES = {"sqlite": ".sqlite3.gz", "postgresql": ".pgdump"}
MANIFEST_SUFFIX = ".json"
MAX_MANIFEST_BYTES = 1_000_000
# The name says how the backup was made, so that expiry reads no manifests.
_NAME = re.compile(r"cohort-(\d{8}T\d{6}Z)(-manual)?(?:-([2-9]|[1-9]\d))?(\.sqlite3\.gz|\.pgdump)")
_STAMP = "%Y%m%dT%H%M%SZ"
MAX_PER_SECOND = 99


class Contents(BaseModel):
    """Contents of a database at one moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: dict[str, int] = Field(description="How many, by table.")
    migrations: dict[str, tuple[str, ...]] = Field(description="Cohort's schema: the migrations that were applied, by app.")


class BackupManifest(BaseModel):
    """Manifest of a backup. It is written last, so a backup without one was never finished."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = FORMAT
    name: str
    engine: Literal["sqlite", "postgresql"]
    began_at: datetime = Field(description="All that was committed before is in it.")
    verified_at: datetime = Field(description="When it was restored into a temporary database and found whole.")
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    unpacked_size: Annotated[int, Field(ge=0)]
    contents: Contents

    def to_json(self) -> str:
        """Return the JSON that is stored."""
        return self.model_dump_json(indent=2) + "\n"


def parse_manifest(name: str, text: bytes) -> BackupManifest:
    """Parse the manifest of the backup `name`. Raises BadBackup."""
    try:
        manifest = BackupManifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise BadBackup(f"The manifest of {name} is not one of Cohort's backups ({where}: {first['msg']}).") from error
    if manifest.name != name:
        raise BadBackup(f"The manifest of {name} is that of {manifest.name}.")
    return manifest


def new_name(began_at: datetime, engine: str, number: int, *, is_manual: bool = False) -> str:
    """Return the name of a backup that began then; `number` counts those within the same second from 1."""
    further = ("-manual" if is_manual else "") + (f"-{number}" if number > 1 else "")
    return f"cohort-{began_at.astimezone(UTC):{_STAMP}}{further}{SUFFIXES[engine]}"


def is_manual(name: str) -> bool:
    """Check whether the backup of that name was made by hand, not on a schedule."""
    match = _NAME.fullmatch(name)
    return match is not None and match[2] is not None


def started_at(name: str) -> datetime | None:
    """Return when the backup of that name began, to the second; None if it is not a backup's name."""
    match = _NAME.fullmatch(name)
    try:
        return datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC) if match else None
    except ValueError:
        return None


def newest_first(names: Iterable[str]) -> list[str]:
    """Return those of the names that are backups', newest first."""
    return sorted((name for name in names if started_at(name)), key=_order, reverse=True)


def _order(name: str) -> tuple[str, int]:
    match = _NAME.fullmatch(name)
    return (match[1], int(match[3] or 1)) if match else ("", 0)

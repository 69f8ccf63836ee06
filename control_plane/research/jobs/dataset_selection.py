"""Selection of data sets: a page of a folder of `inputs/` from S3, and the keys selected so far, which the form carries."""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict

from control_plane.research.jobs.protocol import INPUTS
from control_plane.research.jobs.submitting import MAX_INPUTS
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.objects import NoAnswer, check_keys
from control_plane.research.storage.sessions import Purpose, s3_client

ITEMS_PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class Item:
    """File, or folder, whose key ends in a slash."""

    key: str
    name: str
    size: int = 0

    @property
    def is_folder(self) -> bool:
        """True if it stands for all the files in it."""
        return self.key.endswith("/")


@dataclass(frozen=True, slots=True)
class FolderPage:
    """Page of a folder. `after` is where the next page begins; empty on the last."""

    path: str
    search: str
    items: tuple[Item, ...]
    after: str

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Folders on the way to this one, each with its path."""
        parts = self.path.rstrip("/").split("/") if self.path else []
        return [(part, "/".join(parts[: index + 1]) + "/") for index, part in enumerate(parts)]


def list_folder(folder: GroupFolder, path: str, search: str = "", after: str = "") -> FolderPage:
    """Return a page of a folder below `inputs/`, with one request. `search` is a prefix of names. Raises NoAnswer."""
    prefix = f"{folder.prefix}{INPUTS}{path}"
    check_keys(folder, [prefix])
    more: Any = {"StartAfter": after} if after.startswith(prefix) else {}
    try:
        listed = s3_client(folder, Purpose.BROWSE).list_objects_v2(
            Bucket=folder.bucket, Prefix=f"{prefix}{search}", Delimiter="/", MaxKeys=ITEMS_PER_PAGE, **more
        )
    except (BotoCoreError, ClientError) as error:
        raise NoAnswer(f"S3 did not say what is there: {error}. Nothing was changed; try again.") from error
    folders = [entry["Prefix"] for entry in listed.get("CommonPrefixes", [])]
    files = [(entry["Key"], entry["Size"]) for entry in listed.get("Contents", []) if entry["Key"] != prefix]
    items = [Item(key, key.removeprefix(prefix).rstrip("/")) for key in folders]
    items += [Item(key, key.removeprefix(prefix), size) for key, size in files]
    # S3's order is that of all of them together; whatever begins with the last folder was shown with it.
    last = max([*(f"{key}\U0010ffff" for key in folders), *(key for key, _ in files)], default="")
    return FolderPage(path, search, tuple(items), last if listed.get("IsTruncated") else "")


def selected_keys(folder: GroupFolder, given: QueryDict) -> list[str]:
    """Return the selection so far: carried by the form and ticked on this page, without removed keys.

    Raises SuspiciousOperation for data that no form of ours sends, PermissionDenied for keys outside `inputs/`.
    """
    try:
        carried = json.loads(given.get("basket") or "[]")
        # JSON can write halves of characters, which no key has.
        json.dumps(carried, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise SuspiciousOperation("basket is not a list of keys") from error
    if not isinstance(carried, list) or not all(isinstance(key, str) for key in carried):
        raise SuspiciousOperation("basket is not a list of keys")
    shown = set(given.getlist("shown"))
    ticked = given.getlist("input")
    kept = [key for key in carried if key not in shown or key in ticked]
    without = set(given.getlist("without"))
    keys = [key for key in dict.fromkeys([*kept, *ticked]) if key not in without]
    check_keys(folder, keys, folders=["inputs"])
    return keys[: MAX_INPUTS + 1]


def is_covered(key: str, basket: set[str]) -> bool:
    """Tell whether a selected folder contains the key already."""
    parts = key.rstrip("/").split("/")
    return any("/".join(parts[:count]) + "/" in basket for count in range(1, len(parts)))

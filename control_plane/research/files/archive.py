"""Zip of many objects, streamed while it is made: nothing is written to a disk, no object is held whole."""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePosixPath
from zipfile import ZIP_STORED

from zipstream import ZipStream

from control_plane.base.errors import LimitReached, NotFound
from control_plane.research.files.concurrency import SendingSlot
from control_plane.research.files.hidden import is_shown
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.objects import StoredObject, check_keys, list_below, look_up_objects, read_object

MAX_FILES = 100_000
# Single files are looked up one by one; for more of them people choose the folder.
MAX_SINGLE_FILES = 5_000
# Small objects are fetched ahead of their turn, because otherwise each would cost a round trip to S3.
SMALL_BYTES = 1024 * 1024
FILES_AHEAD = 16
READERS = 8

# What a file's name may not have where the zip is unpacked: Windows takes a backslash for a slash, and what turns the order of
# letters about makes one ending look like another.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Archive:
    """Zip of these files. Holds a sending slot until it is closed, which its response does."""

    def __init__(self, folder: GroupFolder, base: str, keys: Sequence[str]) -> None:
        """Look up what the keys name: files, or whole folders (ending in a slash). Raises Busy, LimitReached, NotFound."""
        self._slot = SendingSlot()
        self._ahead: _ReadAhead | None = None
        try:
            self.files = find_files(folder, keys)
            self._ahead = _ReadAhead(folder, self.files)
            self._zip = _zip_of(self.files, base, self._ahead)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        """Return the zip's length in bytes, known beforehand because nothing is compressed."""
        return len(self._zip)

    def __iter__(self) -> Iterator[bytes]:
        # An object that cannot be read raises, which breaks the connection off: half a zip never looks whole.
        yield from self._zip

    def close(self) -> None:
        """Release the slot. May be called again."""
        if self._ahead:
            self._ahead.close()
        self._slot.close()


class _ReadAhead:
    """Contents of the files in order, with the next small ones fetched ahead."""

    def __init__(self, folder: GroupFolder, files: Sequence[StoredObject]) -> None:
        self._folder, self._files = folder, files
        self._pool = ThreadPoolExecutor(READERS)
        self._coming: dict[int, Future[bytes]] = {}
        self._next = 0

    def content(self, index: int) -> Iterator[bytes]:
        """Yield the content of file number `index`; must be called in order."""
        self._fetch_until(index + 1 + FILES_AHEAD)
        if (coming := self._coming.pop(index, None)) is not None:
            yield coming.result()
        else:
            yield from read_object(self._folder, self._files[index])

    def close(self) -> None:
        """Cancel the fetches that have not started."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fetch_until(self, end: int) -> None:
        while self._next < min(end, len(self._files)):
            if self._files[self._next].size <= SMALL_BYTES:
                self._coming[self._next] = self._pool.submit(self._whole, self._files[self._next])
            self._next += 1

    def _whole(self, stored: StoredObject) -> bytes:
        return b"".join(read_object(self._folder, stored))


def find_files(folder: GroupFolder, keys: Sequence[str]) -> list[StoredObject]:
    """Return the objects that the keys name, each once, without hidden ones. Raises LimitReached or NotFound."""
    check_keys(folder, keys, may_have_dots=True)
    single = [key for key in keys if not key.endswith("/")]
    if len(single) > MAX_SINGLE_FILES:
        raise LimitReached(
            f"These are {len(single):,} single files; a zip takes {MAX_SINGLE_FILES:,}. Choose whole folders instead."
        )
    objects = {stored.key: stored for stored in look_up_objects(folder, single)}
    for below in (key for key in keys if key.endswith("/")):
        for stored in list_below(folder, below):
            if is_shown(stored.key.removeprefix(folder.prefix)):
                objects[stored.key] = stored
            if len(objects) > MAX_FILES:
                raise LimitReached(f"These are more than {MAX_FILES:,} files, which is what a zip takes. Choose fewer folders.")
    if not objects:
        raise NotFound("There is nothing in what you chose.")
    return list(objects.values())


def safe_names(names: Sequence[str]) -> list[str]:
    """Return the names, changed only if they could leave the folder they are unpacked in, or hide one another."""
    taken: set[str] = set()
    folders = _folders(map(_safe_name, names))
    given = []
    for name in map(_safe_name, names):
        number, path, free = 1, PurePosixPath(name), name
        while free in taken or (free in folders and not free.endswith("/")):
            number += 1
            free = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
        taken.add(free)
        given.append(free)
    return given


def _folders(names: Iterable[str]) -> set[str]:
    folders: set[str] = set()
    for name in names:
        end = name.rfind("/")
        # The parents of a known folder are known too.
        while end > 0 and name[:end] not in folders:
            folders.add(name[:end])
            end = name.rfind("/", 0, end)
    return folders


def _safe_name(name: str) -> str:
    is_folder = name.endswith("/")
    parts = [_UNSAFE.sub("_", part) for part in name.removesuffix("/").split("/")]
    safe = "/".join("_" * max(1, len(part)) if part in ("", ".", "..") else part for part in parts)
    return f"{safe}/" if is_folder else safe


def _zip_of(files: Sequence[StoredObject], base: str, ahead: _ReadAhead) -> ZipStream:
    made = ZipStream(compress_type=ZIP_STORED, sized=True)
    for index, (stored, name) in enumerate(zip(files, safe_names([_name_in_zip(file, base) for file in files]), strict=True)):
        if name.endswith("/"):
            made.add(None, name)
        else:
            made.add(ahead.content(index), name, size=stored.size)
    return made


def _name_in_zip(stored: StoredObject, base: str) -> str:
    name = stored.key.removeprefix(base)
    if stored.size and (not name or name.endswith("/")):
        # A folder's marker that has content. Where it is unpacked a folder has none, so it is a file in the folder.
        return f"{name}_"
    # The marker of the folder itself has no name left in it.
    return name or "_/"

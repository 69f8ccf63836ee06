"""One object that the site itself sends, because no browser can ask S3 for it.

A browser takes the parts `.` and `..` out of an address before it asks, also where they are written `%2e` (WHATWG, "URL Standard",
"double-dot URL path segment"), so that `a/./b` would bring what lies under `a/b`. boto3 asks for the key as it is.
"""

from collections.abc import Iterator

from control_plane.research.files.archive import safe_names
from control_plane.research.files.concurrency import SendingSlot
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.objects import StoredObject, check_keys, look_up_objects, read_first_bytes, read_object

MAX_FIRST_BYTES = 256_000


class SingleFile:
    """One object, sent while it is read. Holds one of the few slots until it is closed, which its response does."""

    def __init__(self, folder: GroupFolder, key: str) -> None:
        """Look it up. Raises Busy, PermissionDenied for a key that is not the group's, NotFound or NoAnswer."""
        check_keys(folder, [key], may_have_dots=True)
        self._slot = SendingSlot()
        try:
            (self.stored,) = look_up_objects(folder, [key])
        except BaseException:
            self.close()
            raise
        self._folder = folder

    def __iter__(self) -> Iterator[bytes]:
        # An object that cannot be read raises, which breaks the connection off: half a file never looks whole.
        yield from read_object(self._folder, self.stored)

    def close(self) -> None:
        """Give the slot back. May be called again."""
        self._slot.close()


def read_beginning(folder: GroupFolder, key: str, max_bytes: int) -> tuple[StoredObject, bytes]:
    """Look the object up and read its first bytes, for a preview. Raises as `Single` does, but for Busy."""
    check_keys(folder, [key], may_have_dots=True)
    (stored,) = look_up_objects(folder, [key])
    return stored, read_first_bytes(folder, stored, max_bytes)


def download_name(key: str) -> str:
    """What a browser saves the object as: the last part of its key that is not empty."""
    return safe_names([key.rstrip("/")])[0].rsplit("/", 1)[-1]

"""Single object that the site itself sends, because no browser can ask S3 for it.

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
    """Object, sent while it is read. Holds a sending slot until it is closed, which its response does."""

    def __init__(self, folder: GroupFolder, key: str) -> None:
        """Look up the object. Raises Busy, PermissionDenied for a key that is not the group's, NotFound or NoAnswer."""
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
        """Release the slot. May be called again."""
        self._slot.close()


def read_beginning(folder: GroupFolder, key: str, max_bytes: int) -> tuple[StoredObject, bytes]:
    """Look up the object and read its first bytes, for a preview. Raises as `SingleFile` does, but for Busy."""
    check_keys(folder, [key], may_have_dots=True)
    (stored,) = look_up_objects(folder, [key])
    return stored, read_first_bytes(folder, stored, max_bytes)


def download_name(key: str) -> str:
    """Return the file name of a download: the last part of the key that is not empty."""
    return safe_names([key.rstrip("/")])[0].rsplit("/", 1)[-1]

"""Names that a file may have in S3. Names are kept as they are, or refused: never changed."""

import unicodedata

from control_plane.base.visible import visible
from control_plane.research.storage.sessions import WRITABLE_FOLDERS

# S3 user guide, "Naming Amazon S3 objects": a key is at most 1,024 bytes of UTF-8.
MAX_KEY_BYTES = 1024


class NameRefused(ValueError):
    """Path that cannot become a key. The message says why, and what to do."""


def check_folder(folder: str) -> str:
    """Return the folder to upload into, ending in a slash: one that members may write in, or below it. Raises NameRefused."""
    folder = folder if folder.endswith("/") else f"{folder}/"
    segments = folder[:-1].split("/")
    if segments[0] not in WRITABLE_FOLDERS:
        allowed = f"{', '.join(WRITABLE_FOLDERS[:-1])} and {WRITABLE_FOLDERS[-1]}"
        raise NameRefused(f"Files can be sent to {allowed}, not to {folder!r}. Set such a folder, and add the file again.")
    for segment in segments:
        _check_segment(segment, folder)
    return folder


def make_key(prefix: str, folder: str, path: str) -> str:
    """Return the key of a file in a group's folder. `prefix` ends in a slash, `folder` was checked, `path` is relative.

    Raises NameRefused.
    """
    if not path:
        raise NameRefused("The file has no name. Rename it, and add it again.")
    for segment in path.split("/"):
        _check_segment(segment, path)
    key = f"{prefix}{folder}{path}"
    length = len(key.encode())
    if length > MAX_KEY_BYTES:
        raise NameRefused(
            f"The name is too long: with its folders it has {length} bytes, and S3 takes {MAX_KEY_BYTES}. "
            "Shorten it, and add it again."
        )
    return key


def _check_segment(segment: str, path: str) -> None:
    if not segment:
        raise NameRefused(f"The path {quoted_path(path)} begins or ends with a slash, or has two in a row. Rename the folder.")
    if segment in (".", ".."):
        raise NameRefused(f"The path {quoted_path(path)} holds {segment!r}, which would lead somewhere else. Rename it.")
    for character in segment:
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise NameRefused(
                f"The name {quoted_path(path)} holds a character that cannot be shown (U+{ord(character):04X}). Rename it."
            )


def quoted_path(path: str) -> str:
    """Return a path for a message: in quotes, at most a line long, with invisible characters shown."""
    return f"“{visible(path[:60])}…”" if len(path) > 60 else f"“{visible(path)}”"

"""File modes: closes a folder, with what it holds from before, to the machine's other users."""

import os
import stat
from collections.abc import Collection
from pathlib import Path

# What nobody but the owner, and nobody but owner and group, may do.
OTHERS, ALL_BUT_OWNER = 0o007, 0o077


def remove_rights(folder: Path, rights: int, *, but: Collection[str] = ()) -> None:
    """Remove these rights from everything in the folder; `but` names what directly in it stays as it is. Raises OSError.

    A symbolic link, or what somebody put in a file's place meanwhile, is never followed: who may write in the folder would have
    root change files elsewhere.
    """
    for path, folders, files, here in os.fwalk(folder, follow_symlinks=False):
        if Path(path) == folder:
            folders[:] = [name for name in folders if name not in but]
            files = [name for name in files if name not in but]
        for name in (*folders, *files):
            _remove_from(name, here, rights)


def _remove_from(name: str, here: int, rights: int) -> None:
    try:
        if not _is_plain(os.stat(name, dir_fd=here, follow_symlinks=False)):
            return
        # A pipe that was put there meanwhile would be waited for.
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    except FileNotFoundError:
        # Removed meanwhile, as a database's files are.
        return
    try:
        status = os.fstat(opened)
        if _is_plain(status) and status.st_mode & rights:
            os.fchmod(opened, stat.S_IMODE(status.st_mode) & ~rights)
    finally:
        os.close(opened)


def _is_plain(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)

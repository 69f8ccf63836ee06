"""The files that are sent: random bytes, which nothing on the way can make smaller."""

import os
from pathlib import Path

MIB = 2**20
GIB = 2**30


def one_file(path: Path, size: int = GIB) -> Path:
    """Make a file of so many bytes, unless it is there, and return it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for at in range(0, size, 16 * MIB):
                file.write(os.urandom(min(16 * MIB, size - at)))
    return path


def many_files(folder: Path, number: int, size: int, folders: int = 1) -> Path:
    """Make so many files of so many bytes in a folder, or spread over so many folders below it, and return it."""
    for index in range(number):
        where = folder if folders == 1 else folder / f"{index % folders:03d}"
        where.mkdir(parents=True, exist_ok=True)
        (where / f"{index:05d}.bin").write_bytes(os.urandom(size))
    return folder

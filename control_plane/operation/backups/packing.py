"""Files packed and unpacked as a stream, with their SHA-256: never whole in memory."""

import gzip
import hashlib
import zlib
from pathlib import Path

from control_plane.operation.backups.errors import BadBackup
from control_plane.operation.backups.store import CHUNK, Tell, copy_at_most, private


def pack(plain: Path, packed: Path, tell: Tell) -> None:
    """Compress a file into a new one."""
    size, done = plain.stat().st_size, 0
    with plain.open("rb") as source, private(packed) as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as target:
        while chunk := source.read(CHUNK):
            target.write(chunk)
            done += len(chunk)
            tell("Compressing it", done / size)


def unpack(packed: Path, plain: Path, size: int, name: str) -> None:
    """Decompress into a new file of that size. Raises BadBackup, with no more written than was promised."""
    try:
        with gzip.open(packed, "rb") as source, private(plain) as target:
            copy_at_most(source, target, size, f"{name}, decompressed,")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadBackup(f"{name} is damaged or cut short: it cannot be decompressed ({error}).") from error
    if (found := plain.stat().st_size) != size:
        raise BadBackup(f"{name} decompresses to {found:,} bytes instead of the {size:,} that its manifest says.")


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

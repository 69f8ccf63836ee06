"""Compression, decompression and SHA-256 of files as streams, never whole in memory."""

import gzip
import hashlib
import zlib
from pathlib import Path

from control_plane.operation.backups.errors import BadBackup
from control_plane.operation.backups.store import CHUNK_BYTES, ReportProgress, copy_at_most, private_file


def pack(plain: Path, packed: Path, report: ReportProgress) -> None:
    """Compress a file into a new one."""
    size, done = plain.stat().st_size, 0
    with plain.open("rb") as source, private_file(packed) as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as target:
        while chunk := source.read(CHUNK_BYTES):
            target.write(chunk)
            done += len(chunk)
            report("Compressing it", done / size)


def unpack(packed: Path, plain: Path, size: int, name: str) -> None:
    """Decompress into a new file of `size` bytes. Raises BadBackup, with no more than that written."""
    try:
        with gzip.open(packed, "rb") as source, private_file(plain) as target:
            copy_at_most(source, target, size, f"{name}, decompressed,")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadBackup(f"{name} is damaged or cut short: it cannot be decompressed ({error}).") from error
    if (unpacked := plain.stat().st_size) != size:
        raise BadBackup(f"{name} decompresses to {unpacked:,} bytes instead of the {size:,} that its manifest says.")


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

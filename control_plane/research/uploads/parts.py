"""Sizes of the parts of an upload.

S3 takes at most 10,000 parts of 5 MiB to 5 GiB, and 5 TiB a file (S3 user guide, "Amazon S3 multipart upload limits").
"""

from control_plane.base.sizes import format_size
from control_plane.research.uploads.names import NameRefused

MIB = 2**20
MAX_BYTES = 5 * 2**40
# Also the largest file that goes in one request.
MIN_PART_BYTES = 16 * MIB
# Fewer than S3's 10,000, so that rounding up to whole mebibytes never passes it.
MAX_PARTS = 9_000


def part_size(size: int) -> int:
    """Return the size in bytes of each part but the last; it grows with the file. Raises NameRefused."""
    if size < 0:
        raise NameRefused("The file has no size. Add it again.")
    if size > MAX_BYTES:
        raise NameRefused(f"The file has {format_size(size)}; S3 takes {format_size(MAX_BYTES)}. Split it, and add the pieces.")
    needed = -(-size // MAX_PARTS)
    return max(MIN_PART_BYTES, -(-needed // MIB) * MIB)


def is_multipart(size: int) -> bool:
    """Tell whether a file of this size is sent in parts."""
    return size > MIN_PART_BYTES

"""Checksums over a whole object that was sent in parts (S3's FULL_OBJECT), and the refusal of a write to a full disk.

ministack knows checksums over the parts' checksums (COMPOSITE) alone, and answers that a file is stored where the disk did
not take it.
"""

import os
import re
import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

from ministack.services import s3

Answer = tuple[int, dict[str, str], bytes]
FULL = "FULL_OBJECT"
PART_NUMBER = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")
UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")
# Left for everything else that the machine writes.
SPARE_BYTES = 16 * 2**20


def install() -> None:
    """Install both."""
    _full_object_checksums()
    _full_disk()


def _full_object_checksums() -> None:
    # The whole checksum of the upload that is being completed: requests are served one at a time.
    whole: list[str] = []
    s3._create_multipart_upload = _creating(s3._create_multipart_upload)
    s3._complete_multipart_upload = _completing(s3._complete_multipart_upload, whole)
    composite, add_version = s3._composite_checksum, s3._record_object_version

    def checksum_of_parts(algorithm: str, parts: list[str]) -> str | None:
        return whole[0] if whole else composite(algorithm, parts)

    def add_full_version(bucket: str, key: str, prior: Any, stored: dict[str, Any], data: Any) -> str | None:
        if whole:
            stored["checksum_type"] = FULL
        return add_version(bucket, key, prior, stored, data)  # type: ignore[no-any-return]

    s3._composite_checksum, s3._record_object_version = checksum_of_parts, add_full_version


def _creating(create: Callable[..., Answer]) -> Callable[..., Answer]:
    def create_upload(bucket: str, key: str, headers: dict[str, str]) -> Answer:
        wanted = headers.get("x-amz-checksum-type", "")
        algorithm = headers.get("x-amz-checksum-algorithm", "")
        if wanted == FULL and algorithm.upper() != "CRC32":
            message = f"The {FULL} checksum type cannot be used with the {algorithm} checksum algorithm here."
            return s3._error("InvalidRequest", message, 400)  # type: ignore[no-any-return]
        status, answered, body = create(bucket, key, headers)
        if wanted == FULL and (made := UPLOAD_ID.search(body)):
            s3._multipart_uploads[made[1].decode()]["checksum_type"] = FULL
            answered["x-amz-checksum-type"] = FULL
        return status, answered, body

    return create_upload


def _completing(complete: Callable[..., Answer], whole: list[str]) -> Callable[..., Answer]:
    def complete_upload(bucket: str, key: str, body: bytes, query: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
        upload_id = s3._qp(query, "uploadId")
        upload = s3._multipart_uploads.get(upload_id)
        if upload is None or upload.get("checksum_type") != FULL:
            return complete(bucket, key, body, query, headers)
        whole.append(_checksum(upload["parts"], sorted({int(number) for number in PART_NUMBER.findall(body)})))
        try:
            status, answered, text = complete(bucket, key, body, query, headers)
        finally:
            whole.clear()
        text = text.replace(b"COMPOSITE", FULL.encode())
        if upload_id in s3._completed_multipart_uploads:
            s3._completed_multipart_uploads[upload_id]["response"] = (status, answered, text)
        return status, answered, text

    return complete_upload


def _checksum(parts: dict[int, dict[str, Any]], numbers: list[int]) -> str:
    """Return the checksum of these parts one after the other, from those that S3 took of each when it arrived."""
    value = 0
    for number in numbers:
        if number in parts:
            stored = parts[number]
            crc = int.from_bytes(b64decode(stored["checksums"]["CRC32"]), "big")
            value = combine(value, crc, stored["size"])
    return b64encode(value.to_bytes(4, "big")).decode()


def combine(first: int, second: int, length: int) -> int:
    """Return the CRC-32 of two pieces one after the other, from their own and the second one's length in bytes."""
    matrix = [0xEDB88320, *(1 << bit for bit in range(31))]
    # One zero bit, then two, four, eight: a byte.
    for _ in range(3):
        matrix = [_times(matrix, column) for column in matrix]
    while length:
        if length & 1:
            first = _times(matrix, first)
        length >>= 1
        if length:
            matrix = [_times(matrix, column) for column in matrix]
    return first ^ second


def _times(matrix: list[int], vector: int) -> int:
    total = 0
    for column in matrix:
        if vector & 1:
            total ^= column
        vector >>= 1
    return total


def _full_disk() -> None:
    def guarded(original: Callable[..., Answer], body_at: int) -> Callable[..., Answer]:
        def store(*arguments: Any, **named: Any) -> Answer:
            if _free_bytes() < len(arguments[body_at]) + SPARE_BYTES:
                return s3._error("ServiceUnavailable", "There is no room left on the disk that S3 keeps its objects on.", 503)  # type: ignore[no-any-return]
            return original(*arguments, **named)

        return store

    s3._put_object = guarded(s3._put_object, 2)
    s3._upload_part = guarded(s3._upload_part, 2)


def _free_bytes() -> int:
    return shutil.disk_usage(os.environ["S3_DATA_DIR"]).free

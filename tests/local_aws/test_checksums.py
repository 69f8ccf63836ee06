"""Checksums over whole objects, and a disk that is full: as S3 has them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import client, crc

MIB = 2**20
BUCKET = "checksums"
PARTS = [bytes([number]) * (5 * MIB + number) for number in range(3)]
WHOLE = b"".join(PARTS)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        client(running, "s3").create_bucket(Bucket=BUCKET)
        yield running


def begun(s3: Any, key: str) -> dict[str, Any]:
    made = s3.create_multipart_upload(Bucket=BUCKET, Key=key, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    named = {"Bucket": BUCKET, "Key": key, "UploadId": made["UploadId"]}
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(**named, PartNumber=number, Body=body, ChecksumCRC32=crc(body))["ETag"],
            "ChecksumCRC32": crc(body),
        }
        for number, body in enumerate(PARTS, start=1)
    ]
    return {**named, "MultipartUpload": {"Parts": parts}}


def test_the_checksum_of_the_whole_is_kept_and_told(aws: EmbeddedAws) -> None:
    s3 = client(aws, "s3")
    done = s3.complete_multipart_upload(**begun(s3, "right"), ChecksumCRC32=crc(WHOLE), ChecksumType="FULL_OBJECT")
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (crc(WHOLE), "FULL_OBJECT")
    aws.stop()
    aws.start()
    found = client(aws, "s3").head_object(Bucket=BUCKET, Key="right", ChecksumMode="ENABLED")
    assert (found["ChecksumCRC32"], found["ChecksumType"]) == (crc(WHOLE), "FULL_OBJECT")


def test_a_wrong_checksum_of_the_whole_makes_no_object(aws: EmbeddedAws) -> None:
    s3 = client(aws, "s3")
    with pytest.raises(ClientError, match="BadDigest"):
        s3.complete_multipart_upload(**begun(s3, "wrong"), ChecksumCRC32=crc(b"other"), ChecksumType="FULL_OBJECT")
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=BUCKET, Key="wrong")


def test_the_whole_s_checksum_needs_an_algorithm_that_can_be_combined(aws: EmbeddedAws) -> None:
    with pytest.raises(ClientError, match="FULL_OBJECT"):
        client(aws, "s3").create_multipart_upload(Bucket=BUCKET, Key="sha", ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT")


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk of its own can be mounted by root alone")
def test_a_full_disk_is_said_and_nothing_is_called_stored(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(tmp_path)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine lets nothing be mounted")
    try:
        with EmbeddedAws(free_port(), tmp_path) as small:
            s3 = client(small, "s3")
            s3.create_bucket(Bucket=BUCKET)
            s3.put_object(Bucket=BUCKET, Key="fits", Body=b"x" * MIB)
            with pytest.raises(ClientError, match="ServiceUnavailable"):
                s3.put_object(Bucket=BUCKET, Key="does-not", Body=b"x" * 30 * MIB)
            with pytest.raises(ClientError, match="404"):
                s3.head_object(Bucket=BUCKET, Key="does-not")
    finally:
        subprocess.run(["/bin/umount", "-l", str(tmp_path)], check=True)

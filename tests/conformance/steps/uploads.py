"""Uploads as the page does them: the API begins and ends each, and the data goes to S3 with the credentials that the page gets."""

import os
import time
import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from botocore.config import Config

from tests.conformance.asking import allowed, code_of, error_of, status_of
from tests.conformance.front import document
from tests.conformance.step import Need, Steps
from tests.conformance.tour import ANALYSIS, FEDERATED, GROUP, OTHER, Tour
from tests.e2e.visitor import Answer

STEPS = Steps("Uploads")
IAM_DECIDES: Need = "decisions of IAM"
MIB = 2**20
# Over what goes in one request: two parts.
LARGE = 17 * MIB


def api(tour: Tour, verb: str, body: Any = None) -> Any:
    """Ask the upload API as the federated member; while access is being made ready, again, as the page does."""
    address, deadline = f"/api/uploads/{GROUP}/{ANALYSIS}/{verb}", time.monotonic() + tour.target.patience
    answer: Answer = tour.visitor(FEDERATED).ask("POST", address, body=body)
    while answer.status == 503 and "retry_after" in answer.document and time.monotonic() < deadline:
        time.sleep(0.5)
        answer = tour.visitor(FEDERATED).ask("POST", address, body=body)
    return document(answer)


def s3_of_page(tour: Tour, **options: Any) -> Any:
    """S3 with the credentials that the upload page gets."""
    given = api(tour, "session")
    key = {"AccessKeyId": given["access_key_id"], "SecretAccessKey": given["secret_access_key"]}
    return tour.target.client_as("s3", key | {"SessionToken": given["session_token"]}, **options)


def begin(tour: Tour, path: str, size: int, modified: int = 1_700_000_000_000) -> Any:
    """Begin a file, and return what the page is told."""
    file = {"path": path, "size": size, "modified": modified}
    [begun] = api(tour, "start", {"folder": "inputs", "files": [file]})
    assert begun["status"] == "send", begun
    return begun


def end(tour: Tour, begun: Any, body: bytes, etag: str) -> None:
    """Say that everything was sent; the site asks S3 and calls it complete."""
    [ended] = api(tour, "finish", {"files": [{"id": begun["id"], "checksum": crc(body), "etag": etag}]})
    assert ended["state"] == "complete", ended


def crc(body: bytes) -> str:
    """The CRC-32 as S3 writes it."""
    return b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def fails(code: str, status: int, call: Callable[[], Any]) -> None:
    """Assert that S3 refuses with this code and status, as the page reads them."""
    error = error_of(call)
    assert error, f"S3 took what should be refused as {code}"
    assert (code_of(error), status_of(error)) == (code, status), error


@STEPS.step("A small file goes up with its checksum, is called complete, and comes back the same")
def small(tour: Tour) -> None:
    body, s3 = os.urandom(100_000), s3_of_page(tour)
    begun = begin(tour, "small.bin", len(body))
    put = tour.allowed(
        lambda: s3.put_object(Bucket=tour.bucket, Key=begun["key"], Body=body, ChecksumCRC32=crc(body), IfNoneMatch="*")
    )
    end(tour, begun, body, put["ETag"])
    assert tour.s3(FEDERATED).get_object(Bucket=tour.bucket, Key=begun["key"])["Body"].read() == body


@STEPS.step("A body that is not what its checksum says is refused: BadDigest")
def bad_digest(tour: Tour) -> None:
    # boto3 would send it again, and again.
    s3 = s3_of_page(tour, config=Config(retries={"total_max_attempts": 1}))
    wrong = crc(b"something else")
    key = f"{GROUP}/inputs/broken.bin"
    fails("BadDigest", 400, lambda: s3.put_object(Bucket=tour.bucket, Key=key, Body=b"on its way", ChecksumCRC32=wrong))


@STEPS.step("A second write of a name with If-None-Match is refused with 412, and the first one stays")
def conditional(tour: Tour) -> None:
    s3, key = s3_of_page(tour), f"{GROUP}/inputs/once.txt"
    s3.put_object(Bucket=tour.bucket, Key=key, Body=b"first", IfNoneMatch="*")
    fails("PreconditionFailed", 412, lambda: s3.put_object(Bucket=tour.bucket, Key=key, Body=b"second", IfNoneMatch="*"))
    assert tour.s3(FEDERATED).get_object(Bucket=tour.bucket, Key=key)["Body"].read() == b"first"


@STEPS.step("A new large file goes up in parts with checksums, is called complete, and comes back the same")
def parts(tour: Tour) -> None:
    body, s3 = os.urandom(LARGE), s3_of_page(tour)
    begun = begin(tour, "large.bin", len(body))
    assert begun["upload_id"]
    sent = [send(tour, s3, begun, body, number) for number in range(1, -(-len(body) // begun["part_size"]) + 1)]
    end(tour, begun, body, complete(tour, s3, begun, body, sent))
    assert tour.s3(FEDERATED).get_object(Bucket=tour.bucket, Key=begun["key"])["Body"].read() == body


@STEPS.step("An upload cut off in the middle goes on: the same upload, the parts that ListParts names are not sent again")
def resumed(tour: Tour) -> None:
    body, s3 = os.urandom(LARGE), s3_of_page(tour)
    begun = begin(tour, "resumed.bin", len(body))
    send(tour, s3, begun, body, 1)
    again = begin(tour, "resumed.bin", len(body))
    assert (again["is_resumed"], again["upload_id"]) == (True, begun["upload_id"])
    s3 = s3_of_page(tour)
    there = s3.list_parts(Bucket=tour.bucket, Key=again["key"], UploadId=again["upload_id"])["Parts"]
    assert [item["PartNumber"] for item in there] == [1]
    assert there[0]["Size"] == again["part_size"]
    first = {"PartNumber": 1, "ETag": there[0]["ETag"], "ChecksumCRC32": there[0]["ChecksumCRC32"]}
    end(tour, again, body, complete(tour, s3, again, body, [first, send(tour, s3, again, body, 2)]))
    assert tour.s3(FEDERATED).get_object(Bucket=tour.bucket, Key=again["key"])["Body"].read() == body


@STEPS.step("An upload that is given up leaves no parts")
def given_up(tour: Tour) -> None:
    body, s3 = os.urandom(LARGE), s3_of_page(tour)
    begun = begin(tour, "given-up.bin", len(body))
    send(tour, s3, begun, body, 1)
    assert api(tour, "remove", {"ids": [begun["id"]]}) == {"removed": 1}
    named = {"Bucket": tour.bucket, "Key": begun["key"], "UploadId": begun["upload_id"]}
    fails("NoSuchUpload", 404, lambda: s3.list_parts(**named))


@STEPS.step("The page's credentials write in the group's own folders alone, and neither delete nor list elsewhere", IAM_DECIDES)
def no_more(tour: Tour) -> None:
    s3, bucket = s3_of_page(tour), tour.bucket
    tour.refused("writing results", lambda: s3.put_object(Bucket=bucket, Key=f"{GROUP}/results/a", Body=b""))
    tour.refused("writing at another group's", lambda: s3.put_object(Bucket=bucket, Key=f"{OTHER}/inputs/a", Body=b""))
    tour.refused("reading another group's", lambda: s3.get_object(Bucket=bucket, Key=f"{OTHER}/inputs/secret.txt"))
    tour.refused("deleting", lambda: s3.delete_object(Bucket=bucket, Key=f"{GROUP}/inputs/small.bin"))
    tour.refused("listing another group's", lambda: s3.list_objects_v2(Bucket=bucket, Prefix=f"{OTHER}/"))


def send(tour: Tour, s3: Any, begun: Any, body: bytes, number: int) -> dict[str, Any]:
    """Send one part with its checksum. Returns what completes the upload."""
    piece = body[(number - 1) * begun["part_size"] : number * begun["part_size"]]
    named = {"Bucket": tour.bucket, "Key": begun["key"], "UploadId": begun["upload_id"], "PartNumber": number}
    answer = allowed(lambda: s3.upload_part(**named, Body=piece, ChecksumCRC32=crc(piece)), tour.target.patience)
    return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": crc(piece)}


def complete(tour: Tour, s3: Any, begun: Any, body: bytes, sent: list[dict[str, Any]]) -> str:
    """Put the parts together as the page does. Returns the whole's ETag."""
    done = s3.complete_multipart_upload(
        Bucket=tour.bucket,
        Key=begun["key"],
        UploadId=begun["upload_id"],
        MultipartUpload={"Parts": sent},
        ChecksumCRC32=crc(body),
        ChecksumType="FULL_OBJECT",
        MpuObjectSize=len(body),
        IfNoneMatch="*",
    )
    return str(done["ETag"])

"""Deleting on the page, and taking that back."""

import time
from typing import Any

from tests.conformance.asking import code_of, error_of
from tests.conformance.front import document
from tests.conformance.step import Steps
from tests.conformance.tour import ANALYSIS, FEDERATED, GROUP, OTHER, Tour

STEPS = Steps("Undo")
KEY = f"{GROUP}/inputs/undone.txt"


def api(tour: Tour, verb: str, body: Any) -> Any:
    """Ask the files' API as the federated member, again while access is being made ready."""
    deadline = time.monotonic() + tour.target.patience
    while True:
        answer = tour.visitor(FEDERATED).ask("POST", f"/api/files/{GROUP}/{ANALYSIS}/{verb}", body=body)
        if answer.status != 503 or "retry_after" not in answer.document or time.monotonic() > deadline:
            return document(answer)["items"]
        time.sleep(0.5)


@STEPS.step("A file deleted on the page is gone, and its version stays")
def delete(tour: Tour) -> None:
    s3 = tour.s3(FEDERATED)
    s3.put_object(Bucket=tour.bucket, Key=KEY, Body=b"back again")
    [done] = api(tour, "delete", {"keys": [KEY]})
    assert done["error"] == "", done
    tour.kept["marker"] = done["marker"]
    assert not s3.list_objects_v2(Bucket=tour.bucket, Prefix=KEY).get("Contents")
    error = error_of(lambda: s3.get_object(Bucket=tour.bucket, Key=KEY))
    assert error, "what was deleted can be read"
    assert code_of(error) in ("NoSuchKey", "AccessDenied"), error


@STEPS.step("“Undo” brings it back with the same bytes", "HEAD of delete markers")
def undo(tour: Tour) -> None:
    [done] = api(tour, "restore", {"items": [{"key": KEY, "version": tour.kept["marker"]}]})
    assert done["error"] == "", done
    assert tour.s3(FEDERATED).get_object(Bucket=tour.bucket, Key=KEY)["Body"].read() == b"back again"


@STEPS.step("Neither reaches the other group's files")
def not_theirs(tour: Tour) -> None:
    theirs = f"{OTHER}/inputs/secret.txt"
    answer = tour.visitor(FEDERATED).ask("POST", f"/api/files/{GROUP}/{ANALYSIS}/delete", body={"keys": [theirs]})
    if answer.status == 200:
        [done] = answer.document["items"]
        assert done["error"], done
    assert tour.target.client("s3").list_objects_v2(Bucket=tour.bucket, Prefix=theirs)["KeyCount"] == 1

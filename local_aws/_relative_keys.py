"""Refusal of keys that, read as paths, lead above their bucket; S3 takes every other key as it is.

S3 user guide, "Naming Amazon S3 objects": a key with relative path elements is valid if, from left to right, there are never more
of them than of the others. What S3 answers is in no document: it is 400, without a body. ministack takes every key.
"""

from local_aws._s3_requests import Answer, Handle, ObjectRequest, wrap_dispatch


def install() -> None:
    """Install the refusal."""
    wrap_dispatch(_rule)


def climbs_out(key: str) -> bool:
    """Return whether, from left to right, the key ever has more `..` than other parts. A `.` is neither."""
    depth = 0
    for part in key.split("/"):
        depth += {"..": -1, ".": 0}.get(part, 1)
        if depth < 0:
            return True
    return False


def _rule(request: ObjectRequest, handle: Handle) -> Answer:
    return (400, {}, b"") if climbs_out(request.key) else handle(request)

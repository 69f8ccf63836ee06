"""A member's key: replaced with an overlap, stopped, brought back, removed; and the sessions that a key opened before."""

from typing import Any

from tests.conformance.asking import DENIED, ends
from tests.conformance.step import Need, Steps
from tests.conformance.tour import GROUP, KEYS, Tour

STEPS = Steps("Keys")
IAM_DECIDES: Need = "decisions of IAM"
CHANGES: Need = "changes of access keys"


def listing(tour: Tour, client: Any) -> Any:
    """A call that the key's holder may make, to be made."""
    return lambda: client.list_objects_v2(Bucket=tour.bucket, Prefix=f"{GROUP}/inputs/", MaxKeys=1)


def stops(tour: Tour, what: str, client: Any) -> None:
    """Assert that it ends, for good once IAM's delay is over."""
    ends(what, listing(tour, client), tour.target.patience, steady=tour.target.steady)


@STEPS.step("A session that a key opens (GetSessionToken) reaches nothing, so that none outlives the key", IAM_DECIDES)
def session(tour: Tour) -> str:
    key = tour.credentials(KEYS)
    tour.kept["old key"] = tour.target.client_as("s3", key)
    tour.allowed(listing(tour, tour.kept["old key"]))
    given = tour.target.client_as("sts", key).get_session_token(DurationSeconds=3600)["Credentials"]
    tour.kept["old session"] = tour.target.client_as("s3", given)
    tour.refused("listing in a session of a key", listing(tour, tour.kept["old session"]))
    return f"GetSessionToken gave one; S3 answered {' or '.join(DENIED[:1])}"


@STEPS.step("A key is replaced: the new one works, and the old one works on beside it", CHANGES)
def overlap(tour: Tour) -> None:
    old = tour.kept.setdefault("old key", tour.target.client_as("s3", tour.credentials(KEYS)))
    rotated = tour.front.must("member", "rotate", GROUP, KEYS, "--overlap-days", "3", "--wait")
    assert rotated["member"]["previous_key"] == "active"
    tour.forget(KEYS)
    tour.allowed(listing(tour, tour.s3(KEYS)))
    tour.let_iam_settle()
    tour.allowed(listing(tour, old))
    tour.allowed(listing(tour, tour.s3(KEYS)))


@STEPS.step("The session from before the replacement still reaches nothing", IAM_DECIDES)
def old_session(tour: Tour) -> None:
    tour.refused("listing in a session of the old key", listing(tour, tour.kept["old session"]))


@STEPS.step("The old key is stopped, and the new one works on", CHANGES, IAM_DECIDES)
def stopped(tour: Tour) -> None:
    tour.front.must("member", "old-key", GROUP, KEYS, "stop", "--wait")
    stops(tour, "the old key", tour.kept["old key"])
    tour.allowed(listing(tour, tour.s3(KEYS)))


@STEPS.step("It is brought back, and works again", CHANGES)
def brought_back(tour: Tour) -> None:
    tour.front.must("member", "old-key", GROUP, KEYS, "bring-back", "--wait")
    tour.allowed(listing(tour, tour.kept["old key"]))


@STEPS.step("It is removed: IAM does not know it any more", CHANGES)
def removed(tour: Tour) -> None:
    tour.front.must("member", "old-key", GROUP, KEYS, "remove", "--wait")
    stops(tour, "the old key", tour.kept["old key"])
    tour.allowed(listing(tour, tour.s3(KEYS)))


@STEPS.step("Replaced without an overlap, the key before ends; a session that it opened reaches nothing then either", IAM_DECIDES)
def at_once(tour: Tour) -> None:
    old = tour.credentials(KEYS)
    given = tour.target.client_as("sts", old).get_session_token(DurationSeconds=3600)["Credentials"]
    before, left = tour.target.client_as("s3", old), tour.target.client_as("s3", given)
    tour.front.must("member", "rotate", GROUP, KEYS, "--overlap-days", "0", "--wait")
    stops(tour, "the key before", before)
    stops(tour, "a session of the key before", left)
    tour.forget(KEYS)
    tour.allowed(listing(tour, tour.s3(KEYS)))

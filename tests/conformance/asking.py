"""Whether AWS lets somebody do something, where its IAM may be late: what must be allowed or refused, and when it turned."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import ClientError

DENIED = ("AccessDenied", "AccessDeniedException", "403")
# A key that AWS does not know (yet, or any more): no decision about a right.
UNKNOWN = ("InvalidAccessKeyId", "InvalidClientTokenId", "ExpiredToken", "UnrecognizedClientException", "SignatureDoesNotMatch")
PAUSE_SECONDS = 0.1

_T = TypeVar("_T")


def code_of(error: ClientError) -> str:
    """AWS's code of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def error_of(call: Callable[[], Any]) -> ClientError | None:
    """The error that AWS answers; None if it does what is asked."""
    try:
        call()
    except ClientError as error:
        return error
    return None


def status_of(error: ClientError) -> int:
    """The HTTP status of an error."""
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def allowed(call: Callable[[], _T], patience: float) -> _T:
    """What the call returns, once AWS lets it through. Raises the refusal that lasts longer than `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return call()
        except ClientError as error:
            if code_of(error) not in (*DENIED, *UNKNOWN) or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_SECONDS)


def steadily_allowed(call: Callable[[], Any], patience: float, steady: float) -> None:
    """Return once AWS lets the call through for `steady` seconds on end. Raises the refusal that lasts longer than `patience`."""
    deadline = time.monotonic() + patience
    since = time.monotonic()
    while time.monotonic() - since < steady:
        try:
            call()
        except ClientError as error:
            if code_of(error) not in (*DENIED, *UNKNOWN) or time.monotonic() > deadline:
                raise
            since = time.monotonic()
        time.sleep(PAUSE_SECONDS)


def refused(what: str, call: Callable[[], Any], patience: float) -> None:
    """Return if AWS denies the call for want of a right, at the first answer that is a decision. Raises AssertionError."""
    deadline = time.monotonic() + patience
    while True:
        try:
            answer = call()
        except ClientError as error:
            code = code_of(error)
            if code in DENIED:
                return
            if code not in UNKNOWN or time.monotonic() > deadline:
                raise AssertionError(f"{what}: {code}, not AccessDenied: {error}") from error
        else:
            raise AssertionError(f"{what} was allowed: {str(answer)[:200]}")
        time.sleep(PAUSE_SECONDS)


def ends(what: str, call: Callable[[], Any], patience: float, steady: float) -> None:
    """Return once the call fails for `steady` seconds on end: AWS took the right or the key away. Raises AssertionError."""
    deadline, since = time.monotonic() + patience, None
    while since is None or time.monotonic() - since < steady:
        try:
            call()
        except ClientError as error:
            if code_of(error) not in (*DENIED, *UNKNOWN):
                raise
            since = since or time.monotonic()
        else:
            since = None
        if time.monotonic() > deadline + steady:
            raise AssertionError(f"{what} is still allowed after {patience:.0f} s")
        time.sleep(PAUSE_SECONDS)


class Watch:
    """Asks again and again from the moment it begins, and tells when a right ended, counted from a click."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call, self._stop = call, threading.Event()
        self._answers: list[tuple[float, bool]] = []
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._clicked = 0.0

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def click(self) -> None:
        """The moment from which it is counted."""
        self._clicked = time.monotonic()

    def wait(self, patience: float) -> None:
        """Return at the first refusal. Raises AssertionError if none comes, or what else came of the asking."""
        deadline = time.monotonic() + patience
        while not any(not is_allowed for at, is_allowed in list(self._answers) if at > self._clicked):
            if self._failure:
                raise self._failure
            if time.monotonic() > deadline:
                raise AssertionError(f"not refused within {patience:.0f} s")
            time.sleep(0.02)

    def told(self) -> str:
        """When the first refusal came, and when AWS let the last one through."""
        after = [(at - self._clicked, is_allowed) for at, is_allowed in self._answers if at > self._clicked]
        first = next(at for at, is_allowed in after if not is_allowed)
        last = max((at for at, is_allowed in after if is_allowed and at > first), default=None)
        return f"first AccessDenied after {first:.2f} s" + (f", last let through after {last:.2f} s" if last is not None else "")

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                self._call()
            except ClientError as error:
                if code_of(error) not in (*DENIED, *UNKNOWN):
                    self._failure = error
                    return
                self._answers.append((time.monotonic(), False))
            except Exception as error:
                self._failure = error
                return
            else:
                self._answers.append((time.monotonic(), True))
            self._stop.wait(0.03)

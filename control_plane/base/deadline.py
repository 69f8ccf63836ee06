"""Time limit for a whole exchange over a network: a server that sends a byte now and then cannot extend it."""

import smtplib
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from types import TracebackType
from typing import Self


class DeadlinePassed(TimeoutError):
    """The exchange took longer than allowed and was cut off."""


class Deadline:
    """Time limit in seconds, after which every connection that `connect` made is shut down. A context manager, one per exchange.

    An error that follows from that leaves the `with` as DeadlinePassed. Name resolution is the system's, with limits of its own.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._is_over = False
        self._watched: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut_off)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            for connection in self._watched:
                connection.close()
            self._watched.clear()
        if self._left() <= 0 and isinstance(error, OSError | HTTPException):
            raise self._passed() from error

    def connect(
        self, address: tuple[str, int], timeout: float | None = None, source_address: tuple[str, int] | None = None
    ) -> socket.socket:
        """Connect as `socket.create_connection` does, with `timeout` seconds for each further step. Raises OSError."""
        problem = OSError(f"{address[0]} has no address")
        for *_, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            left = self._left()
            if left <= 0:
                raise self._passed()
            step = left if timeout is None else min(timeout, left)
            try:
                return self._watch(socket.create_connection((str(place[0]), int(place[1])), step, source_address))
            except OSError as error:
                problem = error
        raise problem

    def check(self) -> None:
        """Raise DeadlinePassed if the exchange was cut off: a truncated answer may look like a complete one."""
        with self._lock:
            if self._is_over:
                raise self._passed()

    def _left(self) -> float:
        return self._ends - time.monotonic()

    def _watch(self, connection: socket.socket) -> socket.socket:
        with self._lock:
            if self._is_over:
                connection.close()
                raise self._passed()
            # A duplicate, since TLS detaches the connection's own descriptor.
            self._watched.append(connection.dup())
        return connection

    def _cut_off(self) -> None:
        with self._lock:
            self._is_over = True
            for connection in self._watched:
                # The other side may have closed it already.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _passed(self) -> DeadlinePassed:
        return DeadlinePassed(f"it took more than {self._seconds:g} s in all")


def smtp_class(deadline: Deadline, *, is_encrypted: bool) -> type[smtplib.SMTP]:
    """Return `smtplib`'s connection class within a deadline: with TLS from the start if `is_encrypted`, else without."""

    class Plain(smtplib.SMTP):
        def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
            return deadline.connect((host, port), timeout)

    # SMTP_SSL's `_get_socket` wraps the socket that Plain's makes.
    class Encrypted(smtplib.SMTP_SSL, Plain):
        pass

    return Encrypted if is_encrypted else Plain

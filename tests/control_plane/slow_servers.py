"""Servers that hang: one that takes connections and says nothing, and one that says a byte now and then."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# For how long a byte comes now and then, before the server does what it should after all.
DRIPPING_SECONDS = 8.0
EVERY_SECONDS = 0.05


class SilentServer:
    """Listens, and never answers. Knows who came."""

    def __init__(self, listening: socket.socket) -> None:
        self.port: int = listening.getsockname()[1]
        self._listening = listening
        listening.setblocking(False)

    @property
    def was_asked(self) -> bool:
        """Whether anybody connected since this was asked last."""
        try:
            connection, _ = self._listening.accept()
        except BlockingIOError:
            return False
        connection.close()
        return True


@contextmanager
def silent_server() -> Iterator[SilentServer]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield SilentServer(listening)


@contextmanager
def dripping_server(*, first: list[bytes], drips: bytes, then: list[bytes]) -> Iterator[int]:
    """Serve the answers in `first`, one for each thing that is said; then drip. Gives the port.

    The bytes of `drips` come over and over, one at a time; and in the end those in `then`, which are right.
    """
    over = threading.Event()

    def serve(listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
            with connection:
                for answer in first:
                    connection.sendall(answer)
                    connection.recv(10_000)
                for number in range(int(DRIPPING_SECONDS / EVERY_SECONDS)):
                    connection.sendall(drips[number % len(drips)].to_bytes())
                    if over.wait(EVERY_SECONDS):
                        return
                for answer in then:
                    connection.sendall(answer)
                    connection.recv(10_000)
        except OSError:
            # Who was answered so slowly has gone.
            return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        over.set()
    thread.join(10)

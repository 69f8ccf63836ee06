"""Whether the relay is the line that it is said to be: a plain socket through it, against a server that does nothing.

`python -m tests.benchmarks.calibration --delay-ms 30 --rate-mbit 300` measures one line by itself.
"""

import argparse
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.benchmarks.relay.messages import END_OF_HEAD
from tests.benchmarks.relay.process import Line, RelayProcess
from tests.benchmarks.report import Row, show

HOST = "127.0.0.1"
BUFFER = 2**20
TRIES = 3
DELAYS = 15
BODY_SECONDS = 2.0
LEAST_SHARE = 0.99
MOST_OFF_MS = 2.0


def calibrate(line: Line) -> list[Row]:
    """Return what a plain socket finds of a line that has a rate: its rate both ways, its delay, a connection's opening."""
    with _idle_server() as port, RelayProcess(port, line) as relay:
        _exchange(relay.port, 0, 0)
        opening = [_opening(relay.port) for _ in range(DELAYS)]
        with _connected(relay.port) as connection:
            delays = [_seconds(connection, 0, 0) for _ in range(DELAYS)]
        up = [_rate(relay.port, line, is_up=True) for _ in range(TRIES)]
        down = [_rate(relay.port, line, is_up=False) for _ in range(TRIES)]
        relay.clear()
        before = relay.counters()["processor_seconds"]
        _rate(relay.port, line, is_up=True)
        counters = relay.counters()
    used = (counters["processor_seconds"] - before) * 2**30 / counters["bytes_up"]
    name = f"relay of {line.delay * 1e3:g} ms and {(line.rate or 0) / 1e6:g} Mbit/s"
    return [
        _rate_row(f"{name}: a body sent by a plain socket", line, up),
        _rate_row(f"{name}: a body fetched by a plain socket", line, down),
        _delay_row(f"{name}: an empty request on an open connection", line.delay, delays),
        _delay_row(f"{name}: the first on a new connection", 2 * line.delay, opening),
        Row(f"{name}: its own processor time for 1 GiB", round(used, 2), "s"),
    ]


def _rate_row(name: str, line: Line, rates: Sequence[float]) -> Row:
    assert line.rate is not None
    value, wanted = statistics.median(rates) / 1e6, line.rate / 1e6
    share = value / wanted
    return Row(
        name,
        round(value, 1),
        "Mbit/s",
        wanted,
        "set",
        round(share, 3),
        f"from {LEAST_SHARE:.0%} to {2 - LEAST_SHARE:.0%} of it",
        LEAST_SHARE <= share <= 2 - LEAST_SHARE,
        f"median of {len(rates)}, {BODY_SECONDS:g} s each",
    )


def _delay_row(name: str, wanted: float, delays: Sequence[float]) -> Row:
    value = statistics.median(delays) * 1e3
    off = value - wanted * 1e3
    note = f"median of {len(delays)}; from {min(delays) * 1e3:.1f} to {max(delays) * 1e3:.1f} ms"
    return Row(
        name,
        round(value, 2),
        "ms",
        round(wanted * 1e3, 2),
        "set",
        round(value / (wanted * 1e3), 3) if wanted else None,
        f"within {MOST_OFF_MS:g} ms of it",
        abs(off) <= MOST_OFF_MS,
        note,
    )


def _rate(port: int, line: Line, is_up: bool) -> float:
    """Return the bits per second of one body. The round trip that was set is taken off: what it took longer counts here too."""
    assert line.rate is not None
    size = int(line.rate * BODY_SECONDS / 8)
    with _connected(port) as connection:
        _seconds(connection, 0, 0)
        seconds = _seconds(connection, *((size, 0) if is_up else (0, size)))
    return size * 8 / (seconds - line.delay)


def _opening(port: int) -> float:
    began = time.monotonic()
    _exchange(port, 0, 0)
    return time.monotonic() - began


def _exchange(port: int, up: int, down: int) -> float:
    with _connected(port) as connection:
        return _seconds(connection, up, down)


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _seconds(connection: socket.socket, up: int, down: int) -> float:
    """Return how long a request with a body of `up` bytes takes, whose answer has one of `down` bytes."""
    piece = memoryview(bytearray(BUFFER))
    began = time.monotonic()
    connection.sendall(f"PUT /{down} HTTP/1.1\r\nHost: relay\r\nContent-Length: {up}\r\n\r\n".encode())
    for at in range(0, up, BUFFER):
        connection.sendall(piece[: min(BUFFER, up - at)])
    _, rest = _read_head(connection)
    _read_away(connection, down - rest)
    return time.monotonic() - began


@contextmanager
def _idle_server() -> Iterator[int]:
    """The port of a server that reads each request away, and answers with as many bytes as its path says."""
    with socket.create_server((HOST, 0), backlog=64) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            # Closing alone does not wake who accepts.
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(client,), daemon=True).start()


def _answer(client: socket.socket) -> None:
    piece = memoryview(bytearray(BUFFER))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        with client:
            while True:
                head, rest = _read_head(client)
                line, *fields = head.split("\r\n")
                _read_away(client, int(fields[-1].split(": ")[1]) - rest)
                size = int(line.split()[1][1:])
                client.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
                for at in range(0, size, BUFFER):
                    client.sendall(piece[: min(BUFFER, size - at)])
    except OSError:
        return


def _read_head(connection: socket.socket) -> tuple[str, int]:
    """Return the head, and how many bytes of the body came with it. Raises ConnectionError at the end."""
    data = b""
    while END_OF_HEAD not in data:
        more = connection.recv(BUFFER)
        if not more:
            raise ConnectionError("closed")
        data += more
    head, _, rest = data.partition(END_OF_HEAD)
    return head.decode(), len(rest)


def _read_away(connection: socket.socket, size: int) -> None:
    buffer = bytearray(BUFFER)
    while size > 0:
        read = connection.recv_into(buffer, min(size, BUFFER))
        if not read:
            raise ConnectionError("closed")
        size -= read


def main() -> None:
    """Calibrate one line, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.calibration")
    parser.add_argument("--delay-ms", type=float, default=30.0)
    parser.add_argument("--rate-mbit", type=float, default=300.0)
    arguments = parser.parse_args()
    show(calibrate(Line(arguments.delay_ms / 1e3, arguments.rate_mbit * 1e6)), "The relay")


if __name__ == "__main__":
    main()

"""The relay's process, between a plain socket and a plain server: what arrives, what is lost and what is counted."""

import http.client
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from local_aws.server import free_port
from tests.benchmarks.relay.process import Line, RelayProcess

BODY = random.Random(1).randbytes(700_000)  # noqa: S311
CHUNKED = b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nTrailer: x\r\n\r\n"


class Server(ThreadingHTTPServer):
    """Keeps what it was sent."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str, list[tuple[str, str]], bytes]] = []
        self.clients: set[Any] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut is no news."""


class Handler(BaseHTTPRequestHandler):
    """Answers as the path says."""

    protocol_version = "HTTP/1.1"
    server: Server

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, list(self.headers.items()), body))
        self.server.clients.add(self.client_address)
        if self.path == "/chunked":
            self._answer(200, {"Transfer-Encoding": "chunked"}, CHUNKED)
        elif self.path == "/closing":
            self._answer(200, {"Connection": "close"}, b"until the end")
            self.close_connection = True
        elif self.path in ("/204", "/304"):
            self._answer(int(self.path[1:]), {}, b"")
        else:
            # What HEAD would have sent is told, and not sent.
            self._answer(200, {"Content-Length": str(len(BODY))}, b"" if self.command == "HEAD" else BODY)

    do_GET = do_HEAD = do_PUT = do_DELETE = _handle  # noqa: N815

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Nothing: the tests' output stays readable."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture(scope="module")
def process(server: Server) -> Iterator[RelayProcess]:
    with RelayProcess(server.server_address[1]) as running:
        yield running


@pytest.fixture
def relay(process: RelayProcess, server: Server) -> RelayProcess:
    """The relay, as a line without limits that has counted nothing."""
    process.set_line(Line(0.0, None))
    process.lose(0, 0)
    process.clear()
    server.seen.clear()
    server.clients.clear()
    return process


def connected(relay: RelayProcess) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection("127.0.0.1", relay.port, timeout=20))


def asked(relay: RelayProcess, method: str, path: str = "/", body: bytes | None = None) -> tuple[int, bytes]:
    with connected(relay) as connection:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def ended(relay: RelayProcess, count: int) -> list[dict[str, Any]]:
    """The trace, when so many requests have been answered or given up: the client has its answer a moment before."""
    deadline = time.monotonic() + 20
    trace = relay.trace()
    while sum(exchange["ended"] is not None for exchange in trace) < count:
        assert time.monotonic() < deadline, trace
        time.sleep(0.005)
        trace = relay.trace()
    return trace


def test_headers_and_bodies_arrive_as_they_were_sent(relay: RelayProcess, server: Server) -> None:
    headers = [("Host", "bucket.example.org:1234"), ("X-amz-Odd", "ä b"), ("content-length", str(len(BODY)))]
    with connected(relay) as connection:
        connection.putrequest("PUT", "//a%20b/?x=%2F", skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(BODY)
        answer = connection.getresponse()
        assert answer.read() == BODY
        assert answer.getheader("Content-Length") == str(len(BODY))
    assert [(method, body) for method, _, _, body in server.seen] == [("PUT", BODY)]
    assert server.seen[0][2] == headers


def test_a_connection_is_used_again_and_its_counterpart_too(relay: RelayProcess, server: Server) -> None:
    with connected(relay) as connection:
        for method, path in (("GET", "/"), ("HEAD", "/"), ("DELETE", "/204"), ("GET", "/304"), ("GET", "/chunked"), ("PUT", "/")):
            connection.request(method, path, BODY if method == "PUT" else None)
            answer = connection.getresponse()
            body = answer.read()
            expected = {"/chunked": b"hello world", "/": b"" if method == "HEAD" else BODY}.get(path, b"")
            assert body == expected, (method, path)
    assert [method for method, *_ in server.seen] == ["GET", "HEAD", "DELETE", "GET", "GET", "PUT"]
    assert len(server.clients) == 1
    trace = ended(relay, 6)
    assert [exchange["status"] for exchange in trace] == [200, 200, 204, 304, 200, 200]
    assert {exchange["connection"] for exchange in trace} == {1}
    assert trace[4]["bytes_down"] == len(CHUNKED)


def test_a_body_that_ends_with_its_connection_arrives_whole(relay: RelayProcess) -> None:
    assert asked(relay, "GET", "/closing") == (200, b"until the end")
    assert ended(relay, 1)[0]["status"] == 200


def test_s3_itself_says_that_a_body_may_come(relay: RelayProcess, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", relay.port), 20) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert server.seen == []
        client.sendall(b"12345")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert [body for *_, body in server.seen] == [b"12345"]
    assert ended(relay, 1)[0]["status"] == 200


def test_what_went_through_is_counted(relay: RelayProcess) -> None:
    asked(relay, "PUT", "/", BODY)
    asked(relay, "GET", "/204")
    asked(relay, "GET")
    trace = ended(relay, 3)
    counters = relay.counters()
    assert counters["requests"] == {"PUT": 1, "GET": 2}
    assert (counters["bytes_up"], counters["bytes_down"]) == (len(BODY), 2 * len(BODY))
    assert (counters["connections"], counters["most_busy"], counters["lost"]) == (3, 1, 0)
    assert [exchange["bytes_up"] for exchange in trace] == [len(BODY), 0, 0]
    assert all(exchange["began"] <= exchange["ended"] <= time.monotonic() for exchange in trace)


def test_requests_under_way_at_once_are_counted(relay: RelayProcess) -> None:
    relay.set_line(Line(0.05, None))
    threads = [threading.Thread(target=asked, args=(relay, "GET", "/204")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended(relay, 4)
    assert 2 <= relay.counters()["most_busy"] <= 4


def test_a_pause_within_a_body_is_noticed(relay: RelayProcess) -> None:
    with socket.create_connection(("127.0.0.1", relay.port), 20) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1")
        # What is tested is that the client lets this time pass.
        time.sleep(0.25)
        client.sendall(b"2")
        client.recv(1000)
    [[began, seconds]] = relay.counters()["pauses"]
    assert seconds > 0.2
    assert began + seconds <= time.monotonic()
    asked(relay, "PUT", "/", BODY)
    assert len(relay.counters()["pauses"]) == 1


def test_the_time_between_two_bodies_is_an_idle_line_and_no_pause_of_either(relay: RelayProcess) -> None:
    asked(relay, "PUT", "/", BODY)
    relay.clear()
    for _ in range(2):
        asked(relay, "PUT", "/", b"x" * 1000)
        # What is tested is that the client lets this time pass.
        time.sleep(0.25)
    asked(relay, "GET", "/204")
    counters = relay.counters()
    assert counters["pauses"] == []
    assert 0.25 <= counters["longest_idle"] < 0.5


def lost(relay: RelayProcess, seed: int) -> list[bool]:
    relay.lose(4, seed)
    found = []
    for _ in range(12):
        try:
            asked(relay, "PUT", "/", b"x" * 1000)
        except (ConnectionError, http.client.HTTPException):
            found.append(True)
        else:
            found.append(False)
    return found


def test_the_same_requests_are_lost_each_time_and_never_arrive(relay: RelayProcess, server: Server) -> None:
    first = lost(relay, 7)
    assert sum(first) == 3
    assert [exchange["lost"] for exchange in ended(relay, 12)] == first
    assert len(server.seen) == 9
    assert lost(relay, 7) == first
    assert lost(relay, 8) != first
    assert relay.counters()["lost"] == 9


def test_each_request_takes_its_round_trip_and_the_first_of_a_connection_two(relay: RelayProcess) -> None:
    relay.set_line(Line(0.05, None))
    with connected(relay) as connection:
        for least in (0.1, 0.05, 0.05):
            began = time.monotonic()
            connection.request("GET", "/204")
            connection.getresponse().read()
            assert time.monotonic() - began >= least


def test_all_bodies_share_one_rate_in_each_direction(relay: RelayProcess) -> None:
    relay.set_line(Line(0.0, 40e6))
    began = time.monotonic()
    threads = [threading.Thread(target=asked, args=(relay, "PUT", "/", BODY)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Both go up and come down, one direction beside the other at the most.
    assert time.monotonic() - began >= 2 * len(BODY) * 8 / 40e6
    relay.clear()
    relay.set_line(Line(0.0, 4e9))
    asked(relay, "PUT", "/", BODY)
    assert relay.counters()["bytes_up"] == len(BODY)


def test_a_stall_lets_nothing_through(relay: RelayProcess) -> None:
    with connected(relay) as connection:
        connection.request("GET", "/204")
        connection.getresponse().read()
        began = time.monotonic()
        relay.stall(0.15)
        connection.request("GET", "/204")
        connection.getresponse().read()
        assert time.monotonic() - began >= 0.15


def test_a_server_that_is_not_there_is_a_closed_connection() -> None:
    with RelayProcess(free_port()) as relay, pytest.raises((ConnectionError, http.client.HTTPException)):
        asked(relay, "GET")


def test_what_is_no_http_is_a_closed_connection(relay: RelayProcess, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", relay.port), 20) as client:
        client.sendall(b"x" * 70_000)
        assert is_closed(client)
    assert server.seen == []


def is_closed(client: socket.socket) -> bool:
    try:
        return client.recv(1000) == b""
    except ConnectionError:
        return True


def test_what_a_line_takes_at_the_least() -> None:
    counters = {"requests": {"PUT": 40, "POST": 2}, "most_busy": 6, "bytes_up": 30_000_000, "bytes_down": 1000}
    assert Line(0.1, None).least_seconds(counters) == pytest.approx(0.7)
    assert Line(0.1, 300e6).least_seconds(counters) == pytest.approx(0.8)

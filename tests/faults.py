"""A proxy on loopback in front of the embedded AWS, which makes it fail as AWS does on a bad day."""

import http.client
import random
import socket
import threading
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

HOST = "127.0.0.1"
# What concerns one connection, and not the request: each side has its own.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "content-length"}
# A method, and the query parameter that tells the S3 action; None where none of the others is there.
S3_ACTIONS = {
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", "partNumber"): "UploadPart",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "uploadId"): "ListParts",
    ("GET", "list-type"): "ListObjectsV2",
    ("POST", "delete"): "DeleteObjects",
    ("PUT", None): "PutObject",
    ("GET", None): "GetObject",
    ("HEAD", None): "HeadObject",
    ("DELETE", None): "DeleteObject",
    ("POST", None): "PostObject",
}

# "lose": the request is carried out and its answer is lost. "drop": it never arrives.
Kind = Literal["503", "throttle", "drop", "lose", "hang", "delay", "expired", "denied"]
Protocol = Literal["query", "json", "s3"]


@dataclass
class Rule:
    """What happens to the requests that it is for, `times` times, or always."""

    kind: Kind
    action: str | None = None
    service: str | None = None
    times: int | None = None
    seconds: float | None = None
    probability: float = 1.0
    rng: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311

    def takes(self, request: "Request") -> bool:
        """Whether it is for this request; it then counts as used once more."""
        if self.times == 0 or self.action not in (None, request.action) or self.service not in (None, request.service):
            return False
        if self.probability < 1.0 and self.rng.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(frozen=True)
class Request:
    """A request as it came, and what it asks of which service."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """A header's value, or nothing."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def query(self) -> dict[str, list[str]]:
        """The parameters in the URL."""
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.target).query, keep_blank_values=True)

    @property
    def service(self) -> str:
        """The service that the request is signed for: `cloudformation`, `s3`."""
        _, _, credential = self.header("Authorization").partition("Credential=")
        parts = (credential or self.query.get("X-Amz-Credential", [""])[0]).split(",")[0].split("/")
        return parts[3] if len(parts) > 3 else ""

    @property
    def protocol(self) -> Protocol:
        """How the service is spoken to."""
        if self.header("X-Amz-Target"):
            return "json"
        return "s3" if self.service == "s3" else "query"

    @property
    def action(self) -> str:
        """The API's action: `CreateChangeSet`, or roughly what S3 would call it."""
        if self.protocol == "json":
            return self.header("X-Amz-Target").rpartition(".")[2]
        if self.protocol == "s3":
            keys = [*self.query, None]
            return next((name for key in keys if (name := S3_ACTIONS.get((self.method, key)))), self.method)
        form = urllib.parse.parse_qs(self.body.decode(errors="replace"))
        return (form.get("Action") or self.query.get("Action") or [""])[0]


class Faults:
    """The proxy, as a context manager. Requests that no rule is for go through unchanged."""

    def __init__(self, target_port: int) -> None:
        self.counts: Counter[str] = Counter()
        # Every request as it arrived: its action, and the parameters in its URL.
        self.seen: list[tuple[str, dict[str, list[str]]]] = []
        self._target_port = target_port
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = _Server((HOST, 0), _Handler, self)
        self.port = int(self._server.server_address[1])
        self.endpoint = f"http://localhost:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, kind: Kind, **rule: Any) -> Rule:
        """From now on, do this to the requests that the rule (see `Rule`) is for. The first rule that takes one counts."""
        added = Rule(kind, **rule)
        with self._lock:
            self._rules.append(added)
        return added

    def clear(self) -> None:
        """Let everything through again; what hangs stays so until its seconds are over."""
        with self._lock:
            self._rules.clear()

    def answer(self, request: Request) -> "Answer | None":
        """What the request is answered; None where the connection is closed without an answer."""
        with self._lock:
            self.counts[request.action] += 1
            self.seen.append((request.action, request.query))
            rule = next((rule for rule in self._rules if rule.takes(request)), None)
        if rule is None:
            return forward(self._target_port, request)
        if rule.kind in ("hang", "delay"):
            self._stopping.wait(rule.seconds)
        if rule.kind in ("503", "throttle"):
            return failure(request.protocol, rule.kind == "throttle")
        if rule.kind in ("expired", "denied"):
            return refusal(rule.kind)
        if rule.kind in ("drop", "hang") or self._stopping.is_set():
            return None
        answer = forward(self._target_port, request)
        return None if rule.kind == "lose" else answer


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


# S3 lets a browser read its errors, too.
XML = (("Content-Type", "application/xml"), ("Access-Control-Allow-Origin", "*"))


def forward(port: int, request: Request) -> Answer:
    """Ask the embedded AWS. The Host header stays as it was sent, because it is signed."""
    connection = http.client.HTTPConnection(HOST, port, timeout=120)
    try:
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers:
            if name.lower() not in HOP_BY_HOP:
                connection.putheader(name, value.encode("latin-1"))
        chunked = "chunked" in request.header("Transfer-Encoding").lower()
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif request.body or request.header("Content-Length"):
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body or None, encode_chunked=chunked)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def failure(protocol: Protocol, throttled: bool) -> Answer:
    """What AWS answers when it is asked too often, or cannot just now."""
    if protocol == "s3":
        code, message = ("SlowDown", "Please reduce your request rate.") if throttled else ("ServiceUnavailable", "Try again.")
        return Answer(503, [*XML], f"<Error>{_coded(code, message)}</Error>".encode())
    code, message = ("Throttling", "Rate exceeded") if throttled else ("ServiceUnavailable", "The service is unavailable.")
    status = 400 if throttled else 503
    if protocol == "json":
        code = "ThrottlingException" if throttled else code
        body = f'{{"__type": "{code}", "message": "{message}"}}'
        return Answer(status, [("Content-Type", "application/x-amz-json-1.1")], body.encode())
    side = "Sender" if throttled else "Receiver"
    body = f"<ErrorResponse><Error><Type>{side}</Type>{_coded(code, message)}</Error><RequestId>faults</RequestId></ErrorResponse>"
    return Answer(status, [("Content-Type", "text/xml")], body.encode())


def refusal(kind: Literal["expired", "denied"]) -> Answer:
    """What S3 answers to credentials whose time is over, or that do not cover what was asked."""
    status, code, message = {
        "expired": (400, "ExpiredToken", "The provided token has expired."),
        "denied": (403, "AccessDenied", "Access Denied"),
    }[kind]
    return Answer(status, [*XML], f"<Error>{_coded(code, message)}</Error>".encode())


def _coded(code: str, message: str) -> str:
    return f"<Code>{code}</Code><Message>{message}</Message>"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Nothing waits for a thread whose client keeps its connection open.
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], faults: Faults) -> None:
        super().__init__(address, handler)
        self.faults = faults

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        # Not `self.path`, in which leading slashes are made one.
        target = self.requestline.split(" ")[1]
        request = Request(self.command, target, [(name, str(value)) for name, value in self.headers.items()], self._body())
        try:
            answer = self.server.faults.answer(request)
        except (OSError, http.client.HTTPException):
            answer = None
        if answer is None:
            self._hang_up()
        else:
            self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _handle  # noqa: N815

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            # The length of what HEAD would have sent is told by the header alone.
            if name.lower() not in HOP_BY_HOP or (self.command == "HEAD" and name.lower() == "content-length"):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Nothing: the tests' output stays readable."""


def wait_until(faults: Faults, action: str, count: int = 1, seconds: float = 10.0) -> None:
    """Wait until the proxy has seen an action so many times."""
    deadline = time.monotonic() + seconds
    while faults.counts[action] < count:
        assert time.monotonic() < deadline, f"{action} was seen {faults.counts[action]} times"
        time.sleep(0.01)

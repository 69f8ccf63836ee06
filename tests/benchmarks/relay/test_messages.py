"""Where heads and bodies lie, however the bytes come in."""

import pytest

from tests.benchmarks.relay.messages import (
    BadMessage,
    Body,
    Head,
    Messages,
    SizedBody,
    UnsizedBody,
    body_of_answer,
    body_of_request,
)

HEADS = [
    b"PUT /a?partNumber=1 HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 5\r\n\r\n",
    b"OPTIONS /a HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
    b"POST /b HTTP/1.1\r\ntransfer-ENCODING: Chunked\r\n\r\n",
    b"DELETE /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
]
CHUNKS = b"3;name=value\r\na\r\n\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n"
BODIES = [b"12345", b"", CHUNKS, b""]
STREAM = b"".join(head + body for head, body in zip(HEADS, BODIES, strict=True))


def found(step: int) -> list[tuple[str, bytes]]:
    """Each request's method, and its body as it was sent; fed in steps of so many bytes."""
    messages, whole, body = Messages(body_of_request), list[tuple[str, bytes]](), b""
    method, forwarded = "", b""
    for at in range(0, len(STREAM), step):
        for piece in messages.split(STREAM[at : at + step]):
            forwarded += piece.data
            if piece.head:
                method, body = piece.head.method, b""
            else:
                body += piece.data
            if piece.ends:
                whole.append((method, body))
    assert forwarded == STREAM
    return whole


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, len(STREAM)])
def test_messages_are_found_however_their_bytes_come(step: int) -> None:
    assert found(step) == [("PUT", b"12345"), ("OPTIONS", b""), ("POST", CHUNKS), ("DELETE", b"")]


@pytest.mark.parametrize(
    ("method", "line", "length", "kind"),
    [
        ("HEAD", "HTTP/1.1 200 OK", "12", None),
        ("PUT", "HTTP/1.1 100 Continue", None, None),
        ("DELETE", "HTTP/1.1 204 No Content", None, None),
        ("GET", "HTTP/1.1 304 Not Modified", "12", None),
        ("GET", "HTTP/1.1 200 OK", "0", None),
        ("GET", "HTTP/1.1 206 Partial Content", "12", SizedBody),
        ("GET", "HTTP/1.1 200 OK", None, UnsizedBody),
    ],
)
def test_an_answer_has_a_body_or_none(method: str, line: str, length: str | None, kind: type[Body] | None) -> None:
    body = body_of_answer(Head(line, {} if length is None else {"content-length": length}), method)
    assert (None if body is None else type(body)) == kind


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 100_000,
        b"PUT / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        list(Messages(body_of_request).split(data))


def test_an_answer_without_a_status_is_refused() -> None:
    with pytest.raises(BadMessage):
        list(Messages(lambda head: body_of_answer(head, "GET")).split(b"HTTP/1.1\r\n\r\n"))

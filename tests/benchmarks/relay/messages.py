"""Where heads and bodies lie in what one side of an HTTP/1.1 connection sends (RFC 9112). Nothing is changed by looking."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

END_OF_HEAD = b"\r\n\r\n"
MOST_HEAD = 2**16


class BadMessage(ValueError):
    """What came is not HTTP/1.1, as far as it has to be understood here."""


@dataclass(frozen=True)
class Head:
    """The start line and the fields, whose names are in lower case."""

    line: str
    fields: dict[str, str]

    @property
    def method(self) -> str:
        """A request's method."""
        return self.line.split(" ", 1)[0]

    @property
    def status(self) -> int:
        """An answer's status. Raises BadMessage."""
        word = self.line.split(" ")[1:2]
        if not word or not word[0].isdigit():
            raise BadMessage(f"no status: {self.line[:80]}")
        return int(word[0])

    @property
    def length(self) -> int | None:
        """The body's bytes, where the head tells. Raises BadMessage."""
        told = self.fields.get("content-length")
        if told is not None and not told.isdigit():
            raise BadMessage(f"no length: {told[:80]}")
        return None if told is None else int(told)

    @property
    def is_chunked(self) -> bool:
        """True where the body tells its end itself."""
        return "chunked" in self.fields.get("transfer-encoding", "").lower()


class Body(Protocol):
    """How a body's end is found."""

    done: bool

    def take(self, data: bytes, at: int) -> int:
        """Return where in `data`, from `at` on, the body's bytes end."""


class SizedBody:
    """A body whose length was told."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = False

    def take(self, data: bytes, at: int) -> int:
        """Return where in `data`, from `at` on, the body's bytes end."""
        taken = min(self._left, len(data) - at)
        self._left -= taken
        self.done = not self._left
        return at + taken


class ChunkedBody:
    """A body in chunks, each with its size before it, and fields behind the last."""

    def __init__(self) -> None:
        self._left = 0
        self._line = b""
        self._behind_last = False
        self.done = False

    def take(self, data: bytes, at: int) -> int:
        """Return where in `data`, from `at` on, the body's bytes end. Raises BadMessage."""
        while at < len(data) and not self.done:
            if self._left:
                taken = min(self._left, len(data) - at)
                self._left -= taken
                at += taken
            else:
                at = self._take_line(data, at)
        return at

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1 or len(data)
        self._line += data[at:end]
        if len(self._line) > MOST_HEAD:
            raise BadMessage("a chunk's line does not end")
        if self._line.endswith(b"\n"):
            self._read_line(self._line.strip())
            self._line = b""
        return end

    def _read_line(self, line: bytes) -> None:
        if self._behind_last:
            self.done = not line
            return
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError as error:
            raise BadMessage(f"no chunk's size: {line[:80]!r}") from error
        self._behind_last = not size
        # The chunk, and the end of its line.
        self._left = size + 2 if size else 0


class UnsizedBody:
    """A body that ends with the connection."""

    done = False

    def take(self, data: bytes, at: int) -> int:
        """Return the end of `data`."""
        return len(data)


def body_of_request(head: Head) -> Body | None:
    """Return how the end of this request's body is found; None where it has none. Raises BadMessage."""
    if head.is_chunked:
        return ChunkedBody()
    return SizedBody(head.length) if head.length else None


def body_of_answer(head: Head, method: str) -> Body | None:
    """Return how the end of the body is found that answers this method; None where there is none. Raises BadMessage."""
    if method == "HEAD" or head.status < 200 or head.status in (204, 304):
        return None
    if head.is_chunked:
        return ChunkedBody()
    if head.length is None:
        return UnsizedBody()
    return SizedBody(head.length) if head.length else None


@dataclass(frozen=True)
class Piece:
    """Bytes that are one head, or belong to one body."""

    data: bytes
    head: Head | None
    # The last of its message.
    ends: bool


class Messages:
    """The messages of one side of a connection, one after another."""

    def __init__(self, body_of: Callable[[Head], Body | None]) -> None:
        """Begin with a head. `body_of` says how the end of the body is found that follows a head."""
        self._body_of = body_of
        self._body: Body | None = None
        self._held = b""

    def split(self, data: bytes) -> Iterator[Piece]:
        """Yield what came, head by head and body by body. A head is held back until it is whole. Raises BadMessage."""
        while data:
            if self._body is None:
                data = self._held + data
                end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
                if end < len(END_OF_HEAD):
                    self._hold(data)
                    return
                self._held = b""
                head = _read_head(data[:end])
                self._body = self._body_of(head)
                yield Piece(data[:end], head, self._body is None)
            else:
                end = self._body.take(data, 0)
                ends = self._body.done
                if ends:
                    self._body = None
                # A slice of all bytes is no copy.
                yield Piece(data[:end], None, ends)
            data = data[end:]

    def _hold(self, data: bytes) -> None:
        if len(data) > MOST_HEAD:
            raise BadMessage("a head does not end")
        self._held = data


def _read_head(data: bytes) -> Head:
    line, *rows = data.decode("latin-1").strip().split("\r\n")
    fields = (row.partition(":") for row in rows)
    return Head(line, {name.strip().lower(): value.strip() for name, _, value in fields})

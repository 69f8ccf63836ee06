"""One connection through the relay: what the client sends goes to S3, what S3 answers goes to the client."""

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from tests.benchmarks.relay.counters import Counters, Exchange
from tests.benchmarks.relay.messages import BadMessage, Body, Head, Messages, Piece, body_of_answer, body_of_request
from tests.benchmarks.relay.pacing import DelayLine, Link

# Closed so, a socket says "reset" to the other side.
RESET = struct.pack("ii", 1, 0)


class Lost(ConnectionError):
    """The request is one of those that are lost: its connection is cut."""


class Connection:
    """A client's connection and its own to S3."""

    def __init__(self, link: Link, counters: Counters, client: socket.socket, target: tuple[str, int]) -> None:
        self._link, self._counters, self._client, self._target = link, counters, client, target
        self._server = socket.socket()
        self._loop = asyncio.get_running_loop()
        counters.connections += 1
        self._number = counters.connections
        # Requests whose answer has not come to its end, the last one whose answer has, and the one whose body comes.
        self._open: deque[Exchange] = deque()
        self._answered: Exchange | None = None
        self._sending: Exchange | None = None
        self._has_body_under_way = False
        self._cut_after = 0

    async def run(self) -> None:
        """Carry both directions until both sides have closed, or one fails."""
        opened = time.monotonic() + self._link.delay
        try:
            for side in (self._client, self._server):
                side.setblocking(False)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(self._server, self._target)
            # TCP's handshake takes a round trip; here the machine's own has been made already.
            await self._link.wait_until(opened)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._carry_up(self._line(tasks, self._server), opened))
                tasks.create_task(self._carry_down(self._line(tasks, self._client)))
        except* (OSError, BadMessage):
            self._cut()
        finally:
            self._end()

    def _line(self, tasks: asyncio.TaskGroup, receiver: socket.socket) -> DelayLine:
        line = DelayLine(self._link, lambda data: self._loop.sock_sendall(receiver, data))

        async def deliver() -> None:
            await line.deliver()
            receiver.shutdown(socket.SHUT_WR)

        tasks.create_task(deliver())
        return line

    async def _carry_up(self, line: DelayLine, moment: float) -> None:
        messages = Messages(body_of_request)
        while True:
            data, moment = await self._read(self._client, moment)
            if not data:
                return line.put(b"", moment)
            for piece in messages.split(data):
                if piece.head is not None:
                    self._begin(piece.head, moment)
                else:
                    moment = await self._send_body(piece, moment)
                line.put(piece.data, moment)
            moment = await self._leave_room(line, moment)

    async def _carry_down(self, line: DelayLine) -> None:
        messages, moment = Messages(self._body_of_answer), time.monotonic()
        while True:
            data, moment = await self._read(self._server, moment)
            if not data:
                return line.put(b"", moment)
            for piece in messages.split(data):
                if piece.head is None:
                    moment = await self._link.carry(self._link.down, len(piece.data), moment)
                line.put(piece.data, moment, self._answer(piece))
            moment = await self._leave_room(line, moment)

    async def _read(self, source: socket.socket, moment: float) -> tuple[bytes, float]:
        """Return what has come, and since when it could go. `moment` is when the piece before it went.

        What is there when we look was ready at that moment: that we looked late, on a busy machine, is not the line's doing.
        """
        try:
            return source.recv(self._link.piece_bytes), moment
        except BlockingIOError:
            return await self._loop.sock_recv(source, self._link.piece_bytes), time.monotonic()

    async def _leave_room(self, line: DelayLine, moment: float) -> float:
        """Return since when the next piece could go: the receiver may not have taken what went before it."""
        if not line.is_full:
            return moment
        await line.wait_for_room()
        return time.monotonic()

    def _begin(self, head: Head, moment: float) -> None:
        exchange = self._sending = self._counters.begin(head.method, self._number, moment)
        self._open.append(exchange)
        part = self._link.loss.draw()
        if part is not None:
            self._counters.lose(exchange)
            self._cut_after = int(part * (head.length or 0))
            if not self._cut_after:
                raise Lost

    async def _send_body(self, piece: Piece, moment: float) -> float:
        exchange = self._sending
        assert exchange is not None
        if not self._has_body_under_way:
            self._has_body_under_way = True
            self._counters.begin_body(moment)
        gone = await self._link.carry(self._link.up, len(piece.data), moment)
        self._counters.move_up(exchange, len(piece.data), gone)
        if exchange.lost and exchange.bytes_up > self._cut_after:
            raise Lost
        if piece.ends:
            self._has_body_under_way = False
            self._counters.end_body(gone)
        return gone

    def _body_of_answer(self, head: Head) -> Body | None:
        if self._open and head.status >= 200:
            self._open[0].status = head.status
        return body_of_answer(head, self._open[0].method if self._open else "")

    def _answer(self, piece: Piece) -> Callable[[], None] | None:
        """Count a piece of an answer; return what is done when the client has it."""
        if not self._open:
            return None
        exchange = self._open[0]
        if piece.head is None:
            self._counters.move_down(exchange, len(piece.data))
        # 100 (Continue) is not yet the answer.
        if not piece.ends or exchange.status is None:
            return None
        self._answered = self._open.popleft()
        return partial(self._counters.end, exchange)

    def _cut(self) -> None:
        for side in (self._client, self._server):
            if side.fileno() >= 0:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def _end(self) -> None:
        if self._has_body_under_way:
            self._counters.end_body(time.monotonic())
        for exchange in (self._answered, *self._open):
            if exchange is not None:
                self._counters.end(exchange)
        self._client.close()
        self._server.close()

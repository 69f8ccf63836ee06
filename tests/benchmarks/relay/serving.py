"""The relay's process: it serves until its standard input ends, and does what the lines there say.

Each line is a JSON object with one command, and is answered by one line of JSON on standard output:
`{"line": {"delay": 0.03, "rate": 3e8}}` (seconds; bits per second, null for no limit), `{"stall": 60}` (seconds),
`{"lose": {"every": 50, "seed": 1}}` (0 for none), `{"clear": true}`, `{"counters": true}`, `{"trace": true}`.
"""

import asyncio
import json
import math
import selectors
import socket
import sys
from collections.abc import Callable
from typing import Any

from tests.benchmarks.relay.connection import Connection
from tests.benchmarks.relay.counters import Counters
from tests.benchmarks.relay.pacing import Link, Loss

HOST = "127.0.0.1"
BACKLOG = 128
# What the machine takes in for us unasked is sent, as far as the client knows. The kernel doubles this.
TAKEN_IN_BYTES = 2**18


class Relay:
    """Its listening socket, the line behind it and what went through."""

    def __init__(self, port: int, target: tuple[str, int]) -> None:
        """Listen on this port of the loopback interface, or on a free one where it is 0. Raises OSError."""
        self._target = target
        self._link, self._counters = Link(), Counters()
        self._connections = set[asyncio.Task[None]]()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TAKEN_IN_BYTES)
        self._listener.bind((HOST, port))
        self._listener.listen(BACKLOG)
        self._listener.setblocking(False)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listener.getsockname()[1])

    async def accept(self) -> None:
        """Relay every connection, until cancelled."""
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            task = asyncio.create_task(Connection(self._link, self._counters, client, self._target).run())
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    def obey(self, command: dict[str, Any]) -> Any:
        """Do what one command says, and return the answer. Raises KeyError for one that is unknown."""
        (name, value) = next(iter(command.items()))
        commands: dict[str, Callable[[Any], Any]] = {
            "line": self._set_line,
            "stall": self._link.stall,
            "lose": self._lose,
            "clear": lambda _: self._counters.clear(),
            "counters": lambda _: self._counters.document(),
            "trace": lambda _: self._counters.trace(),
        }
        return commands[name](value)

    def _set_line(self, line: dict[str, float | None]) -> None:
        self._link.delay = line["delay"] or 0.0
        self._link.rate = line["rate"] or math.inf

    def _lose(self, loss: dict[str, int]) -> None:
        self._link.loss = Loss(loss["every"], loss["seed"])


def serve(port: int, target: tuple[str, int], *commands: dict[str, Any]) -> None:
    """Relay what comes to this port, with these commands before all others. Prints `{"port": ...}` first. Raises OSError."""
    # It alone waits for less than a millisecond: epoll and poll round up, which would show in every delay.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_serve(Relay(port, target), *commands))


async def _serve(relay: Relay, *commands: dict[str, Any]) -> None:
    for command in commands:
        relay.obey(command)
    _tell({"port": relay.port})
    accepting = asyncio.create_task(relay.accept())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        _tell(relay.obey(json.loads(line)))
    accepting.cancel()


def _tell(answer: Any) -> None:
    print(json.dumps(answer), flush=True)

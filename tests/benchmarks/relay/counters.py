"""What went through the relay: requests, bytes, pauses. Times are seconds of the monotonic clock, the same in all processes."""

import math
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

PAUSE_SECONDS = 0.2


@dataclass
class Exchange:
    """A request and its answer; `began` when its head had come from the client, `ended` when the client had its answer."""

    method: str
    connection: int
    began: float
    status: int | None = None
    ended: float | None = None
    bytes_up: int = 0
    bytes_down: int = 0
    lost: bool = False


@dataclass
class Counters:
    """What has gone through since the relay started, or since it was told to count anew."""

    requests: Counter[str] = field(default_factory=Counter)
    bytes_up: int = 0
    bytes_down: int = 0
    connections: int = 0
    # Connections with a request under way: now, and the most at any time.
    busy: int = 0
    most_busy: int = 0
    lost: int = 0
    # When nothing of any request's body went for longer than PAUSE_SECONDS, though one was under way: begin and length.
    pauses: list[tuple[float, float]] = field(default_factory=list)
    # The longest time in which nothing of any request's body went, whether one was under way or none, after the first that did.
    longest_idle: float = 0.0
    exchanges: list[Exchange] = field(default_factory=list)
    _bodies: int = 0
    _moved: float = 0.0
    _carried: float = math.inf

    def begin(self, method: str, connection: int, moment: float) -> Exchange:
        """Count a request."""
        exchange = Exchange(method, connection, moment)
        self.exchanges.append(exchange)
        self.requests[method] += 1
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        return exchange

    def end(self, exchange: Exchange) -> None:
        """Count a request as answered, or as given up, once."""
        if exchange.ended is None:
            exchange.ended = time.monotonic()
            self.busy -= 1

    def lose(self, exchange: Exchange) -> None:
        """Count a request as lost."""
        exchange.lost = True
        self.lost += 1

    def begin_body(self, moment: float) -> None:
        """Count a request's body as under way: its first byte came."""
        if not self._bodies:
            self._moved = moment
        self._bodies += 1

    def move_up(self, exchange: Exchange, size: int, moment: float) -> None:
        """Count bytes of a request's body that went."""
        self._note_pause(moment)
        self.longest_idle = max(self.longest_idle, moment - self._carried)
        self._carried = moment if math.isinf(self._carried) else max(self._carried, moment)
        exchange.bytes_up += size
        self.bytes_up += size

    def end_body(self, moment: float) -> None:
        """Count a request's body as under way no more: its last byte went, or its connection ended."""
        self._note_pause(moment)
        self._bodies -= 1

    def move_down(self, exchange: Exchange, size: int) -> None:
        """Count bytes of an answer's body that went."""
        exchange.bytes_down += size
        self.bytes_down += size

    def clear(self) -> None:
        """Count anew; what is under way stays so."""
        self.requests.clear()
        self.pauses.clear()
        # Those under way are told to nobody: they began before.
        self.exchanges.clear()
        self.bytes_up = self.bytes_down = self.connections = self.lost = 0
        self.most_busy = self.busy
        self.longest_idle, self._carried = 0.0, math.inf

    def document(self) -> dict[str, Any]:
        """Return the figures, for JSON, with the processor seconds of the whole process."""
        names = ("requests", "bytes_up", "bytes_down", "connections", "most_busy", "lost", "pauses", "longest_idle")
        return {name: getattr(self, name) for name in names} | {"processor_seconds": time.process_time()}

    def trace(self) -> list[dict[str, Any]]:
        """Return every request, in the order in which they began, for JSON."""
        return [asdict(exchange) for exchange in self.exchanges]

    def _note_pause(self, moment: float) -> None:
        if moment - self._moved > PAUSE_SECONDS:
            self.pauses.append((self._moved, moment - self._moved))
        self._moved = max(self._moved, moment)

"""The line's rate, delay and failures. Times are seconds of the monotonic clock, rates bits per second."""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

# A piece holds the line for this long, so that connections which share it take turns often; reading less costs more processor.
PIECE_SECONDS = 0.008
LEAST_PIECE, MOST_PIECE = 2**12, 2**18
# What one connection may have under way beside what a line of this rate and delay holds.
WINDOW = 2**20
# During a stall, how often is looked whether it was ended.
LOOK_SECONDS = 0.1
# Linux wakes who waits in select late by a thousandth of the time, and by five times as much where it is nice. So what is longer
# than this is waited for in two steps, of which the second is short.
LONG_SECONDS, FIRST_STEP = 0.01, 0.95


@dataclass
class Bucket:
    """One direction of the line, which all bodies share: each piece goes when those before it have gone."""

    rate: float = math.inf
    # When the last piece that was let in will have gone.
    free: float = 0.0

    def reserve(self, size: int, since: float) -> float:
        """Return when `size` bytes, ready since that moment, will have gone."""
        self.free = max(self.free, since) + size * 8 / self.rate
        return self.free


@dataclass
class Loss:
    """Which requests are lost: of each `every` in a row exactly one, drawn by the seed. None where `every` is 0."""

    every: int = 0
    seed: int = 0
    _seen: int = field(default=0, init=False)

    def draw(self) -> float | None:
        """Return, for the next request, after which part of its body (from 0 to 1) it is lost; None where it is not."""
        if not self.every:
            return None
        block, place = divmod(self._seen, self.every)
        self._seen += 1
        chance = random.Random(f"{self.seed} {block}")  # noqa: S311
        return chance.random() if chance.randrange(self.every) == place else None


class Link:
    """The line that all connections share. Its properties can be changed while it is used."""

    def __init__(self, delay: float = 0.0, rate: float = math.inf) -> None:
        """Make a line whose round trip takes `delay` seconds, with this rate in each direction."""
        self.delay = delay
        self.up, self.down = Bucket(rate), Bucket(rate)
        self.loss = Loss()
        self._stalled_until = 0.0

    @property
    def rate(self) -> float:
        """The rate of each direction."""
        return self.up.rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self.up.rate = self.down.rate = rate

    @property
    def piece_bytes(self) -> int:
        """How much is read at once."""
        return int(min(max(self.rate / 8 * PIECE_SECONDS, LEAST_PIECE), MOST_PIECE))

    @property
    def window_bytes(self) -> int:
        """How much one connection may have under way in one direction."""
        return WINDOW + int(min(self.rate, 1e10) / 8 * self.delay)

    def stall(self, seconds: float) -> None:
        """Let nothing through for so long, from now; 0 ends a stall."""
        self._stalled_until = time.monotonic() + seconds

    async def wait_until(self, moment: float) -> None:
        """Return at that moment, or when the stall has ended in which it lies."""
        while (now := time.monotonic()) < max(moment, self._stalled_until):
            seconds = max(moment, self._stalled_until) - now
            if seconds > LONG_SECONDS:
                seconds *= FIRST_STEP
            await asyncio.sleep(seconds if moment >= self._stalled_until else min(seconds, LOOK_SECONDS))

    async def carry(self, bucket: Bucket, size: int, since: float) -> float:
        """Return when `size` bytes of a body, ready since that moment, have gone; the moment is the planned one."""
        gone = bucket.reserve(size, since)
        await self.wait_until(gone)
        if self._stalled_until > gone:
            bucket.free = max(bucket.free, self._stalled_until)
            return self._stalled_until
        return gone


class DelayLine:
    """What is under way on one connection in one direction: it arrives half a round trip after it went, in its order."""

    def __init__(self, link: Link, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Make a line whose other end does `send` with what arrives."""
        self._link, self._send = link, send
        self._pieces: deque[tuple[float, bytes, Callable[[], None] | None]] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """True while the other end takes less than comes."""
        return self._bytes >= self._link.window_bytes

    def put(self, data: bytes, moment: float, then: Callable[[], None] | None = None) -> None:
        """Send off what went at that moment; `then` is called when it was handed over. Nothing (b"") is the end."""
        self._pieces.append((moment + self._link.delay / 2, data, then))
        self._bytes += len(data)
        self._changed.set()

    async def wait_for_room(self) -> None:
        """Return when it is full no more."""
        while self.is_full:
            self._room.clear()
            await self._room.wait()

    async def deliver(self) -> None:
        """Hand over what arrives, until the end."""
        while True:
            while not self._pieces:
                self._changed.clear()
                await self._changed.wait()
            due, data, then = self._pieces.popleft()
            await self._link.wait_until(due)
            if not data:
                return
            await self._send(data)
            self._bytes -= len(data)
            self._room.set()
            if then is not None:
                then()

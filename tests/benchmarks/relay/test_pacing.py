"""The line's rate, losses and stalls. Nothing here says how late something may be: that is what calibration measures."""

import asyncio
import time

import pytest

from tests.benchmarks.relay.pacing import LEAST_PIECE, MOST_PIECE, Bucket, DelayLine, Link, Loss


def test_bodies_take_turns_on_one_line() -> None:
    bucket = Bucket(8000.0)
    first, second = bucket.reserve(1000, 10.0), bucket.reserve(500, 10.0)
    assert (first, second) == (11.0, 11.5)
    assert bucket.reserve(1000, first) == 12.5


def test_who_looks_late_loses_nothing_and_who_pauses_saves_nothing() -> None:
    bucket = Bucket(8000.0)
    gone = bucket.reserve(1000, 10.0)
    assert bucket.reserve(1000, gone) == 12.0
    assert bucket.reserve(1000, 20.0) == 21.0


def test_a_line_without_a_rate_holds_nobody_up() -> None:
    assert Bucket().reserve(10**9, 10.0) == 10.0


def test_a_piece_holds_the_line_for_a_few_milliseconds() -> None:
    assert Link().piece_bytes == MOST_PIECE
    assert Link(rate=1e3).piece_bytes == LEAST_PIECE
    assert Link(rate=30e6).piece_bytes == 30_000


def drawn(every: int, seed: int, count: int = 500) -> list[float | None]:
    loss = Loss(every, seed)
    return [loss.draw() for _ in range(count)]


def test_the_same_requests_are_lost_each_time() -> None:
    assert drawn(50, 1) == drawn(50, 1)
    assert drawn(50, 1) != drawn(50, 2)


@pytest.mark.parametrize("every", [1, 7, 50])
def test_of_so_many_requests_in_a_row_one_is_lost(every: int) -> None:
    parts = drawn(every, 3, every * 10)
    for at in range(0, len(parts), every):
        lost = [part for part in parts[at : at + every] if part is not None]
        assert len(lost) == 1
        assert 0 <= lost[0] < 1


def test_none_is_lost_where_none_should_be() -> None:
    assert set(drawn(0, 1)) == {None}


def test_during_a_stall_nothing_goes_and_its_time_is_not_made_up_for() -> None:
    async def carried() -> tuple[float, float, float]:
        link = Link(rate=8e6)
        began = time.monotonic()
        link.stall(0.05)
        first = await link.carry(link.up, 1000, began)
        return began, first, await link.carry(link.up, 1000, first)

    began, first, second = asyncio.run(carried())
    assert first >= began + 0.05
    assert second >= first + 0.001


def test_a_stall_can_be_ended() -> None:
    async def carried() -> None:
        link = Link()
        link.stall(3600)
        waiting = asyncio.create_task(link.wait_until(0.0))
        await asyncio.sleep(0)
        assert not waiting.done()
        link.stall(0)
        await asyncio.wait_for(waiting, 30)

    asyncio.run(carried())


def test_what_is_under_way_arrives_in_its_order_and_none_too_early() -> None:
    arrived = list[tuple[bytes, float]]()
    done = list[bytes]()

    async def arrive(data: bytes) -> None:
        arrived.append((data, time.monotonic()))

    async def sent() -> float:
        link = Link(delay=0.04)
        line = DelayLine(link, arrive)
        began = time.monotonic()
        line.put(b"a", began, lambda: done.append(b"a"))
        # What went later arrives later, even on a line that has become shorter.
        link.delay = 0.0
        line.put(b"b", began)
        line.put(b"", began)
        await line.deliver()
        return began

    began = asyncio.run(sent())
    assert [data for data, _ in arrived] == [b"a", b"b"]
    assert min(moment for _, moment in arrived) >= began + 0.02
    assert done == [b"a"]


def test_a_receiver_that_takes_nothing_makes_the_sender_wait() -> None:
    async def filled() -> None:
        taking = asyncio.Event()

        async def arrive(data: bytes) -> None:
            await taking.wait()

        link = Link()
        line = DelayLine(link, arrive)
        delivering = asyncio.create_task(line.deliver())
        line.put(bytes(link.window_bytes), 0.0)
        waiting = asyncio.create_task(line.wait_for_room())
        await asyncio.sleep(0)
        assert line.is_full
        assert not waiting.done()
        taking.set()
        await waiting
        assert not line.is_full
        delivering.cancel()

    asyncio.run(filled())

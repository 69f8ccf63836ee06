"""One sending after the other over the same line: a browser's and the peer's, with what each sent and used."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.benchmarks import processors
from tests.benchmarks.bare_browser import MEASURE, bare_browser, choose, give
from tests.benchmarks.memory import Memory
from tests.benchmarks.peer import Peer
from tests.benchmarks.processors import spent
from tests.benchmarks.relay.process import RelayProcess
from tests.e2e.site import Site
from tests.e2e.uploading import ADD_FIELD, PASSWORD, READ_BY_WORKER, make_member

GROUP, ANALYSIS, BUCKET, EMAIL = "bench-lab", "bench", "cohort-bench", "bench@example.org"
ADDRESS = f"/groups/{GROUP}/files/{ANALYSIS}/"
SEEN_MS = 1500
PIECE, STILL_MS = 8 * 2**20, 10_000


@dataclass(frozen=True)
class Turn:
    """One sending. Times are seconds."""

    seconds: float
    # What went through the relay, see `Counters` there, and each request, see `Exchange`.
    counters: dict[str, Any]
    trace: list[dict[str, Any]]
    # Seconds of processor, by role.
    processors: dict[str, float]
    # When it began, by the monotonic clock.
    began: float
    # What a browser asked the control plane for, as addresses.
    asked: list[str] = field(default_factory=list)

    @property
    def first_byte(self) -> float:
        """From the beginning until the head of the first request with a body reached the relay."""
        return min(float(put["began"]) for put in self._puts) - self.began

    @property
    def last_part(self) -> float:
        """From the beginning until the last file or part was answered."""
        return max(float(put["ended"]) for put in self._puts) - self.began

    @property
    def _puts(self) -> list[dict[str, Any]]:
        return [exchange for exchange in self.trace if exchange["method"] == "PUT" and exchange["ended"] is not None]

    @property
    def requests(self) -> int:
        """Requests to S3."""
        return sum(self.counters["requests"].values())

    @property
    def longest_idle(self) -> float:
        """How long nothing of any file went, between the first byte of all and the last."""
        return float(self.counters["longest_idle"])


@dataclass(frozen=True)
class Turns:
    """The turns of both sides, of which medians are told."""

    browser: list[Turn]
    peer: list[Turn]

    @property
    def note(self) -> str:
        """Processor seconds of each side."""
        return f"Processor seconds, ours: {_spent(self.browser)}; the peer’s: {_spent(self.peer)}."


def median(turns: Sequence[Turn], figure: Callable[[Turn], float]) -> float:
    """Return the median of one figure."""
    return statistics.median(figure(turn) for turn in turns)


def prepare_group(site: Site) -> None:
    """Make the group whose member sends and reads."""
    make_member(site, group=GROUP, analysis=ANALYSIS, bucket=BUCKET, email=EMAIL)


def sign_in(site: Site, page: Page) -> None:
    """Sign that member in."""
    page.goto(f"{site.url}/accounts/login/")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site.url}/")


class Sending:
    """The two ways to send the same files. What arrived is removed before the next turn."""

    def __init__(self, site: Site, relay: RelayProcess, peer: Peer, folder: Path) -> None:
        """Take a running site whose browsers reach S3 by the relay. `folder` holds the browsers' profiles."""
        self._site, self._relay, self._peer, self._folder = site, relay, peer, folder
        self._profiles = 0

    def in_turns(self, what: str, source: Path, rounds: int) -> Turns:
        """Send `source`, a file or a folder, both ways so many times."""
        turns = Turns([], [])
        for number in range(rounds):
            print(f"\r{what}: {number + 1} of {rounds}   ", end="", flush=True)
            turns.peer.append(self.by_peer(source))
            turns.browser.append(self.by_browser(source))
        print(f"\r{what}: {median(turns.browser, _seconds):.2f} s, the peer {median(turns.peer, _seconds):.2f} s", flush=True)
        return turns

    def start_up_seconds(self) -> float:
        """Return what the peer takes for an empty file."""
        seconds = self._peer.start_up_seconds(self._target("empty"), self._relay.endpoint, self._credentials())
        self._empty()
        return seconds

    def by_peer(self, source: Path) -> Turn:
        """Send by AWS's command line."""
        credentials = self._credentials()
        self._relay.clear()
        before, began = _of_ended_children(), time.monotonic()
        with spent(self._roots) as used:
            seconds = self._peer.copy(source, self._target(source.name), self._relay.endpoint, credentials)
        used[processors.PEER] = _of_ended_children() - before
        turn = Turn(seconds, self._relay.counters(), self._relay.trace(), used, began)
        self._empty()
        return turn

    def by_browser(self, source: Path, memory: Memory | None = None) -> Turn:
        """Send by the page, with Chromium's memory watched or not."""
        self._profiles += 1
        with bare_browser(self._folder / f"profile-{self._profiles}") as browser:
            browser.visit(lambda page: self._choose(page, source))
            self._relay.clear()
            with memory or nullcontext(), spent({**self._roots, browser.pid: processors.of_browser}) as used:
                browser.visit(lambda page: page.evaluate(MEASURE))
                told = browser.wait_until_measured()
        # The browser tells the time of day.
        began = told["pressed"] - (time.time() - time.monotonic())
        asked = [url for url in told["asked"] if url.startswith(self._site.url)]
        turn = Turn(told["seconds"], self._relay.counters(), self._relay.trace(), used, began, asked)
        self._empty()
        return turn

    def reading_alone(self, source: Path) -> float:
        """Return the renderer's processor seconds for reading a file and working out its checksum, with nothing sent."""
        self._profiles += 1
        with bare_browser(self._folder / f"profile-{self._profiles}") as browser:

            def prepare(page: Page) -> None:
                sign_in(self._site, page)
                page.goto(f"{self._site.url}{ADDRESS}")
                page.locator("#upload[data-ready]").wait_for()
                page.evaluate(ADD_FIELD)
                give(page, "#own", source)

            def read(page: Page) -> Any:
                names: dict[str, str] = page.evaluate("() => ({ ...document.getElementById('upload').dataset })")
                scripts = [names["crc32"], names["md5"]]
                return page.evaluate(
                    READ_BY_WORKER, {"worker": names["worker"], "scripts": scripts, "piece": PIECE, "still": STILL_MS}
                )

            browser.visit(prepare)
            with spent({browser.pid: processors.of_browser}) as used:
                found = browser.visit(read)
        assert isinstance(found, list), found
        return used[processors.PAGE]

    def _choose(self, page: Page, source: Path) -> None:
        sign_in(self._site, page)
        page.goto(f"{self._site.url}{ADDRESS}")
        page.locator("#upload[data-ready]").wait_for()
        page.locator("#files [data-part=count]").wait_for()
        choose(page, source)
        page.wait_for_timeout(SEEN_MS)

    @property
    def _roots(self) -> dict[int, processors.Role]:
        assert self._site.pid is not None
        return {self._site.pid: processors.of_site, self._relay.pid: processors.always(processors.RELAY)}

    def _target(self, name: str) -> str:
        return f"s3://{BUCKET}/{GROUP}/inputs/{name}"

    def _credentials(self) -> dict[str, str]:
        return self._site.credentials(GROUP, EMAIL)

    def _empty(self) -> None:
        s3 = self._site.root("s3")
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
            listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if listed:
                objects = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in listed]
                s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})


def _of_ended_children() -> float:
    """Return the processor seconds of all that this process has started and that has ended."""
    times = os.times()
    return times.children_user + times.children_system


def _seconds(turn: Turn) -> float:
    return turn.seconds


def _spent(turns: Sequence[Turn]) -> str:
    return ", ".join(f"{role} {median(turns, partial(_used, role)):.1f}" for role in turns[0].processors)


def _used(role: str, turn: Turn) -> float:
    return turn.processors.get(role, 0.0)

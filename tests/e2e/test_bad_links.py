"""Uploads over a line that loses requests, stands still or becomes slow: nothing is lost or doubled, little goes twice."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.benchmarks.relay.process import Line, RelayProcess
from tests.e2e.site import Site
from tests.e2e.uploading import accounted, choose, hash_at_s3, hash_of, make, make_member, send, signed_in
from tests.slow import slow

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(900), slow]

GROUP, BUCKET, EMAIL = "far-lab", "cohort-e2e-far", "far@example.org"
ADDRESS = f"/groups/{GROUP}/files/far/"
MIB = 2**20
LINE = Line(0.03, 300e6)
MOST_SENT = 1.03
BACK_SECONDS = 10.0


@dataclass(frozen=True)
class Lab:
    """A site whose browsers reach S3 over a line."""

    site: Site
    relay: RelayProcess


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    site = Site(tmp_path_factory.mktemp("far") / "var", DEMO="0")
    with RelayProcess(site.aws_port) as relay:
        site.change(S3_BROWSER_URL=relay.endpoint)
        site.start()
        try:
            make_member(site, group=GROUP, analysis="far", bucket=BUCKET, email=EMAIL)
            yield Lab(site, relay)
        finally:
            site.stop()


@pytest.fixture
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    for opened in signed_in(browser, lab.site, EMAIL):
        opened.goto(ADDRESS)
        opened.locator("#upload[data-ready]").wait_for()
        lab.relay.set_line(LINE)
        lab.relay.clear()
        yield opened
        lab.relay.lose(0, 0)
        lab.relay.stall(0)
        lab.relay.set_line(Line(0.0, None))


def wait_for_bytes(relay: RelayProcess, least: int) -> None:
    deadline = time.monotonic() + 60
    while relay.counters()["bytes_up"] < least:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def rate(relay: RelayProcess, seconds: float) -> float:
    """Bits per second of all bodies, over so long."""
    before = relay.counters()["bytes_up"]
    # What is tested is how much goes in this time.
    time.sleep(seconds)
    return float(relay.counters()["bytes_up"] - before) * 8 / seconds


def wait_for_rate(relay: RelayProcess, least: float) -> None:
    """Return when the line is that full again. Fails where that takes longer than it may."""
    deadline = time.monotonic() + BACK_SECONDS
    while rate(relay, 1.0) < least:
        assert time.monotonic() < deadline, "The line is not used again."


def check_arrived(lab: Lab, page: Page, *files: Path, root: Path) -> None:
    """Everything is there, once, as it was, and little of it went twice."""
    expect(page.locator(".uppy-StatusBar.is-complete")).to_be_visible(timeout=240_000)
    accounted(page, sent=len(files))
    s3 = lab.site.root("s3")
    for file in files:
        key = f"{GROUP}/inputs/{file.relative_to(root)}"
        assert hash_at_s3(lab.site, BUCKET, key) == hash_of(file)
        assert len(s3.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"]) == 1
    assert not s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads")
    needed = sum(file.stat().st_size for file in files)
    assert lab.relay.counters()["bytes_up"] <= MOST_SENT * needed


def test_one_request_in_fifty_is_lost(lab: Lab, page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "losing"
    files = [make(folder / f"{number:03d}.bin", 100_000) for number in range(300)] + [make(folder / "large.bin", 512 * MIB)]
    choose(page, folder)
    lab.relay.lose(50, 7)
    send(page)
    check_arrived(lab, page, *files, root=tmp_path)
    assert lab.relay.counters()["lost"] >= 10


def test_a_minute_of_nothing_is_said_and_sat_out(lab: Lab, page: Page, tmp_path: Path) -> None:
    file = make(tmp_path / "still.bin", 384 * MIB)
    choose(page, file)
    send(page)
    wait_for_bytes(lab.relay, 64 * MIB)
    lab.relay.stall(60)
    began = time.monotonic()
    expect(page.get_by_text("Nothing has gone through for 20 seconds.")).to_be_visible(timeout=40_000)
    time.sleep(max(0.0, began + 60 - time.monotonic()))
    wait_for_rate(lab.relay, 0.8 * 300e6)
    check_arrived(lab, page, file, root=tmp_path)
    expect(page.get_by_text("Nothing has gone through")).to_be_hidden()


def test_a_line_that_becomes_ten_times_slower_and_recovers(lab: Lab, page: Page, tmp_path: Path) -> None:
    file = make(tmp_path / "slow.bin", 512 * MIB)
    choose(page, file)
    send(page)
    wait_for_bytes(lab.relay, 64 * MIB)
    lab.relay.set_line(Line(0.03, 30e6))
    wait_for_rate(lab.relay, 0.8 * 30e6)
    # Long enough for the page to adapt to it.
    time.sleep(15)
    lab.relay.set_line(LINE)
    wait_for_rate(lab.relay, 0.8 * 300e6)
    check_arrived(lab, page, file, root=tmp_path)

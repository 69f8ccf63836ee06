"""The upload page on a connection that breaks: it is lost, a network's sign-in page answers, the tab or the clock stands wrong."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.e2e.site import Site
from tests.e2e.uploading import PASSWORD, accounted, choose, hash_at_s3, hash_of, new_context, open_page, send, wait_until_complete
from tests.faults import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(600)]

GROUP, BUCKET = "breaking-lab", "cohort-e2e-breaking"
ADDRESS = f"/groups/{GROUP}/files/breaking/"
EMAIL = "broken@example.org"
INPUTS = f"{GROUP}/inputs"
MIB = 2**20


@pytest.fixture(scope="module")
def lab(site: Site) -> Site:
    site.must("analysis", "create", "breaking", "--bucket", BUCKET)
    site.must("group", "create", GROUP)
    site.must("analysis", "grant", "breaking", GROUP)
    site.must("member", "add", GROUP, EMAIL, "--create", "--wait")
    site.wait_for_deployments()
    site.set_password(EMAIL, PASSWORD)
    return site


@pytest.fixture
def context(browser: Browser, lab: Site) -> Iterator[BrowserContext]:
    made = new_context(browser, lab)
    yield made
    lab.faults.clear()
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    opened = open_page(context, EMAIL, ADDRESS)
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    assert problems == []


def make(path: Path, size: int) -> Path:
    path.write_bytes(os.urandom(size))
    return path


def send_until_first_part(lab: Site, page: Page) -> None:
    """Press the button, and return when a part has begun to arrive at S3."""
    before = lab.faults.counts["UploadPart"]
    send(page)
    wait_until(lab.faults, "UploadPart", before + 1, seconds=60)


def test_a_lost_connection_is_waited_for(lab: Site, page: Page, context: BrowserContext, tmp_path: Path) -> None:
    file = make(tmp_path / "offline.bin", 70 * MIB)
    lab.faults.add("delay", action="UploadPart", seconds=2.0)
    choose(page, file)
    send_until_first_part(lab, page)
    context.set_offline(True)
    expect(page.get_by_text("No connection. Waiting for it.")).to_be_visible(timeout=20_000)
    context.set_offline(False)
    wait_until_complete(page)
    assert hash_at_s3(lab, BUCKET, f"{INPUTS}/offline.bin") == hash_of(file)


def test_a_network_s_sign_in_page_in_s3_s_place_is_said_and_waited_out(lab: Site, page: Page, tmp_path: Path) -> None:
    small, large = make(tmp_path / "hotel-small.bin", 1000), make(tmp_path / "hotel-large.bin", 20 * MIB)
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag", "Content-Type": "text/html"}

    def answer(route: Route) -> None:
        if route.request.method in ("PUT", "POST"):
            route.fulfill(status=200, headers=headers, body="<html><body>Welcome to our hotel</body></html>")
        else:
            route.fallback()

    elsewhere = re.compile(rf":{lab.faults.port}/")
    page.route(elsewhere, answer)
    choose(page, small, large)
    send(page)
    expect(page.get_by_text("Something on the way answered in S3's place")).to_be_visible(timeout=20_000)
    page.unroute(elsewhere)
    wait_until_complete(page)
    accounted(page, sent=2)
    for file in (small, large):
        assert hash_at_s3(lab, BUCKET, f"{INPUTS}/{file.name}") == hash_of(file)


def test_a_clock_that_is_wrong_by_three_quarters_of_an_hour_and_a_tab_that_was_frozen(
    lab: Site, context: BrowserContext, tmp_path: Path
) -> None:
    context.add_init_script("{ const now = Date.now; Date.now = () => now() + 45 * 60 * 1000; }")
    page = open_page(context, EMAIL, ADDRESS)
    file = make(tmp_path / "frozen.bin", 40 * MIB)
    lab.faults.add("delay", action="UploadPart", seconds=1.0)
    choose(page, file)
    send_until_first_part(lab, page)
    session = page.context.new_cdp_session(page)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    # What is tested is that the page stands still for this time.
    time.sleep(3)
    session.send("Page.setWebLifecycleState", {"state": "active"})
    wait_until_complete(page)
    assert hash_at_s3(lab, BUCKET, f"{INPUTS}/frozen.bin") == hash_of(file)

"""The upload page on a connection that breaks: it is lost, a network's sign-in page answers, the tab or the clock stands wrong."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.e2e.site import Site
from tests.e2e.uploading import (
    accounted,
    choose,
    context_with_faults,
    hash_at_s3,
    hash_of,
    make,
    make_member,
    open_page,
    send,
    send_until,
    wait_until_complete,
    watched_page,
)

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(600)]

GROUP, BUCKET = "breaking-lab", "cohort-e2e-breaking"
ADDRESS = f"/groups/{GROUP}/files/breaking/"
EMAIL = "broken@example.org"
INPUTS = f"{GROUP}/inputs"
MIB = 2**20


@pytest.fixture(scope="module")
def lab(site: Site) -> Site:
    make_member(site, group=GROUP, analysis="breaking", bucket=BUCKET, email=EMAIL)
    return site


@pytest.fixture
def context(browser: Browser, lab: Site) -> Iterator[BrowserContext]:
    yield from context_with_faults(browser, lab)


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    yield from watched_page(context, EMAIL, ADDRESS)


def test_a_lost_connection_is_waited_for(lab: Site, page: Page, context: BrowserContext, tmp_path: Path) -> None:
    file = make(tmp_path / "offline.bin", 70 * MIB)
    lab.faults.add("delay", action="UploadPart", seconds=2.0)
    choose(page, file)
    send_until(lab, page, parts=1)
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
    send_until(lab, page, parts=1)
    session = page.context.new_cdp_session(page)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    # What is tested is that the page stands still for this time.
    time.sleep(3)
    session.send("Page.setWebLifecycleState", {"state": "active"})
    wait_until_complete(page)
    assert hash_at_s3(lab, BUCKET, f"{INPUTS}/frozen.bin") == hash_of(file)

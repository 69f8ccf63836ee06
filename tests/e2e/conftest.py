"""One site for all the tests that go through the front door; they keep out of each other's way by names of their own."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.browser import ARGUMENTS, MISSING, find_chromium
from tests.e2e.site import Site
from tests.faults import Faults

# How long a page may take to show what a test expects: two cores serve a site, an AWS and a browser for each of two tests.
expect.set_options(timeout=20_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest: at its place it would keep one worker busy while the other has nothing to do."""
    items.sort(key=lambda item: item.path.name != "test_up.py")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    running = Site(tmp_path_factory.mktemp("site") / "var", DEMO="0")
    # Browsers reach S3 through it: it counts what arrives there, and makes S3 fail when a test wants that.
    with Faults(running.aws_port) as faults:
        running.have_browsers_use(faults)
        running.start()
        yield running
        assert running.stop(signal.SIGTERM) == 0


def launched(*more: str) -> Iterator[Browser]:
    """For a fixture: a browser, with these arguments beside the usual ones."""
    path = find_chromium()
    if path is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *more])
        yield chromium
        chromium.close()


# Not for the whole session: while Playwright runs, its event loop keeps Django's database out of this process.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launched()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page in a window of its own, not signed in. A script error on any page fails the test, and so does what a policy stops."""
    context = browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text) if "Content Security Policy" in message.text else None)
    yield opened
    context.close()
    assert problems == []


@pytest.fixture
def administrator(page: Page, site: Site) -> Page:
    """The page, signed in as the first administrator."""
    email, password = site.administrator
    sign_in(page, email, password)
    return page


def sign_in(page: Page, email: str, password: str) -> None:
    """Sign in as a person does."""
    page.goto("/")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if find_chromium() is None:
        terminalreporter.section("browser", sep="!")
        terminalreporter.write_line(MISSING, red=True, bold=True)


AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"


def serious_findings(page: Page) -> list[str]:
    """What axe-core calls serious or critical on the page as it stands."""
    page.evaluate(AXE.read_text())
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url} {violation['id']}: {violation['help']}: {[node['html'][:200] for node in violation['nodes'][:3]]}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical")
    ]

"""The documentation at /docs/: open to all, no way out of it, and working in a browser under the site's own policy."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.conf import settings
from django.http.response import HttpResponseBase
from django.test import Client

from control_plane.base import documentation
from control_plane.base.config import ROOT
from tests.docs.test_docs import built  # noqa: F401 (a fixture)
from tests.e2e.browser import ARGUMENTS, MISSING, find_chromium

AXE = ROOT / "node_modules/axe-core/axe.min.js"


@pytest.fixture
def served(built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    monkeypatch.setattr(documentation, "SITE", built)
    return built


def text(answer: HttpResponseBase) -> str:
    return answer.getvalue().decode()


@pytest.mark.django_db
def test_whoever_comes_reads_it(served: Path, client: Client) -> None:
    answer = client.get("/docs/")
    assert answer.status_code == 200
    assert "Where to go on" in text(answer)
    assert client.get("/docs/operations/").status_code == 200
    assert client.get("/docs/architecture.svg").headers["Content-Type"] == "image/svg+xml"


@pytest.mark.django_db
def test_a_folder_without_its_slash_leads_to_the_one_with_it(served: Path, client: Client) -> None:
    answer = client.get("/docs/operations")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/docs/operations/")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["nothing/", "nothing.html", "../manage.py", "..%2fmanage.py", "%2e%2e/manage.py", "..//..//etc/passwd", "/etc/passwd"]
)
def test_what_is_not_in_it_is_not_found_and_nothing_else_is_served(served: Path, client: Client, path: str) -> None:
    answer = client.get(f"/docs/{path}")
    assert answer.status_code in (400, 404)
    assert "django" not in text(answer).lower()


@pytest.mark.django_db
def test_it_cannot_be_posted_to(served: Path, client: Client) -> None:
    assert client.post("/docs/").status_code == 405


@pytest.mark.django_db
def test_where_it_is_not_built_it_is_not_found(client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(documentation, "SITE", tmp_path)
    assert client.get("/docs/").status_code == 404


@pytest.mark.django_db
def test_every_page_of_the_site_leads_to_it(client: Client) -> None:
    assert 'href="/docs/"' in text(client.get("/accounts/login/"))


class Handler(SimpleHTTPRequestHandler):
    """Serves the folder with the policy of the site's own pages."""

    policy = "; ".join(
        f"{name} {' '.join(map(str, values))}" for name, values in settings.CONTENT_SECURITY_POLICY["DIRECTIVES"].items()
    )

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", self.policy)
        super().end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(built: Path) -> Iterator[str]:  # noqa: F811
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(built)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


LOOK = """
import sys
from playwright.sync_api import sync_playwright
chromium, address, axe, *arguments = sys.argv[1:]
wrong = []
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((address, "data:", "blob:")) else wrong.append(request.url))
    for path in ("/", "/operations/", "/data-model/", "/for/researcher/"):
        page.goto(address + path, wait_until="load")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wrong.append(f"{path} is {width} pixels wide")
        page.evaluate(open(axe).read())
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        wrong += [f"{path}: {violation['id']}" for violation in found if violation["impact"] in ("serious", "critical")]
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("textbox", name="Search").press_sequentially("second factor")
    page.locator(".md-search-result__link").first.wait_for(timeout=60000)
    page.keyboard.press("Escape")
    before = page.evaluate("document.body.dataset.mdColorScheme")
    page.locator("label.md-header__button[for^=__palette]:visible").click()
    page.wait_for_function("before => document.body.dataset.mdColorScheme !== before", arg=before)
    browser.close()
print("\\n".join(wrong))
"""


@pytest.mark.browser
def test_it_works_in_a_browser_under_the_site_s_own_policy(address: str) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip(MISSING)
    # In a process of its own: Playwright's loop and Django's tests do not go together.
    command = [sys.executable, "-c", LOOK, chromium, address, str(AXE), *ARGUMENTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""

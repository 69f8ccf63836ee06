"""Chromium as a person has it: nothing listens in while it sends.

Playwright has the browser report every request with its body, which takes more of the processor than sending does. So it
prepares the page, leaves, and comes back for what the page measured.
"""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from local_aws.server import free_port
from tests.e2e.browser import ARGUMENTS, find_chromium

DONE = "measured"
START_SECONDS, MAX_SECONDS = 30, 600
# Presses the button when nobody listens any more, and keeps when that was, how long it took and which addresses were asked.
MEASURE = f"""() => {{
  performance.setResourceTimingBufferSize(50000);
  performance.clearResourceTimings();
  setTimeout(() => {{
    const began = performance.now();
    const look = setInterval(() => {{
      if (!document.querySelector(".uppy-StatusBar.is-complete")) return;
      clearInterval(look);
      const asked = performance.getEntriesByType("resource").map((entry) => entry.name);
      const pressed = (performance.timeOrigin + began) / 1000;
      window.measured = {{ pressed, seconds: (performance.now() - began) / 1000, asked }};
      document.title = "{DONE}";
    }}, 50);
    document.querySelector(".uppy-StatusBar-actionBtn--upload").click();
  }}, 2500);
}}"""


class BareBrowser:
    """A running Chromium with one page."""

    def __init__(self, port: int, pid: int) -> None:
        self._port = port
        # Its first process, which has started all others.
        self.pid = pid

    def visit(self, do: Callable[[Page], Any]) -> Any:
        """Do something with the page, listening meanwhile; then leave it alone."""
        with sync_playwright() as playwright:
            browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{self._port}")
            try:
                return do(browser.contexts[0].pages[0])
            finally:
                browser.close()

    def wait_until_measured(self) -> dict[str, Any]:
        """What `MEASURE` kept: {pressed, seconds, asked}; `pressed` is seconds since 1970. Raises TimeoutError."""
        deadline = time.monotonic() + MAX_SECONDS
        while self._title() != DONE:
            if time.monotonic() > deadline:
                raise TimeoutError(f"The upload did not end within {MAX_SECONDS} seconds.")
            time.sleep(0.25)
        measured: dict[str, Any] = self.visit(lambda page: page.evaluate("() => window.measured"))
        return measured

    def _title(self) -> str:
        return next(str(target["title"]) for target in _targets(self._port) if target["type"] == "page")


@contextmanager
def bare_browser(folder: Path) -> Iterator[BareBrowser]:
    """Start Chromium with a new profile in `folder`, and stop it at the end."""
    port = free_port()
    more = ["--headless=new", f"--remote-debugging-port={port}", f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen([str(find_chromium()), *ARGUMENTS, *more], stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        yield BareBrowser(port, process.pid)
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def choose(page: Page, source: Path) -> None:
    """Give the upload page a file or a whole folder, and wait until it offers to send it."""
    give(page, "#upload-drop input[webkitdirectory]" if source.is_dir() else "#upload-drop input[type=file]", source)
    page.locator(".uppy-StatusBar-actionBtn--upload").wait_for()


def give(page: Page, field: str, source: Path) -> None:
    """Give a field of the page this file or folder. Playwright's own way takes at most 50 MB in a browser that it did not start."""
    session = page.context.new_cdp_session(page)
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    node = session.send("DOM.querySelector", {"nodeId": root, "selector": field})["nodeId"]
    session.send("DOM.setFileInputFiles", {"files": [str(source)], "nodeId": node})


def _wait(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _targets(port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _targets(port: int) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=5) as answer:
        targets: list[dict[str, Any]] = json.load(answer)
    return targets

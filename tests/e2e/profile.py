"""A browser whose profile stays on the disk, and which can be killed as a crash or the power would."""

import os
import signal
import time
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e.browser import ARGUMENTS, find_chromium

GONE_SECONDS = 10


class Profile:
    """One person's browser on one computer. It takes from `browser` only the kind: it is a process of its own."""

    def __init__(self, folder: Path, browser: Browser, address: str) -> None:
        self._folder, self._kind, self._address = folder, browser.browser_type, address
        self._context: BrowserContext | None = None
        # Scripts' errors, on any page.
        self.problems: list[str] = []

    def start(self) -> Page:
        """Start the browser with what the profile holds, and return its page."""
        self._context = self._kind.launch_persistent_context(
            self._folder,
            executable_path=find_chromium(),
            args=list(ARGUMENTS),
            base_url=self._address,
            viewport={"width": 1280, "height": 900},
        )
        self._context.on("weberror", lambda error: self.problems.append(str(error.error)))
        return self._context.pages[0]

    def kill(self) -> None:
        """End all of its processes at once, without a word to any of them."""
        [group] = {os.getpgid(pid) for pid, command in self._processes() if b"--type=" not in command}
        assert group != os.getpgid(0)
        os.killpg(group, signal.SIGKILL)
        deadline = time.monotonic() + GONE_SECONDS
        while self._processes():
            assert time.monotonic() < deadline, self._processes()
            time.sleep(0.05)

    def close(self) -> None:
        """End it in the ordinary way, if it runs."""
        if self._context and self._processes():
            self._context.close()

    def _processes(self) -> list[tuple[int, bytes]]:
        """Those that use the profile, with their command lines; a dead one has none."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes()
            except OSError:
                continue
            if f"--user-data-dir={self._folder}\0".encode() in command:
                found.append((int(path.parent.name), command))
        return found

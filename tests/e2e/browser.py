"""The browser that the machine has: Chromium of Debian's packages, driven by Playwright."""

import os
import shutil
from pathlib import Path

CANDIDATES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# As root Chromium refuses its sandbox, and on a machine without a network it must not look for one at every start.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
MISSING = (
    "NO BROWSER: the tests that drive a real browser were skipped, because there is no Chromium here. "
    "Install one (Debian, Ubuntu: apt-get install chromium) or name one in CHROMIUM, and run them again."
)


def find_chromium() -> str | None:
    """The browser's path, or None."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if Path(named).exists() else None
    return next((path for name in CANDIDATES if (path := shutil.which(name))), None)

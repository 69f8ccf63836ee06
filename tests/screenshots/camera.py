"""Takes pictures of pages at both widths, and says what is wrong with them there."""

import base64
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, Page

from tests.e2e.conftest import serious_findings

WIDTHS = {1280: 900, 390: 844}
# A long page is shown as far as its sense is clear; the whole folder has to stay small.
MAX_HEIGHT = 1600
PALETTE = Path(__file__).with_name("palette.js").read_text()


@dataclass
class Camera:
    """Looks at pages. With a folder it keeps the pictures there, under names that stay, and those in dark colours too."""

    browser: Browser
    folder: Path | None = None
    titles: dict[str, str] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def shoot(self, page: Page, name: str, title: str, *, dark: bool = False) -> None:
        """Look at the page as it stands, light and, if asked for, dark."""
        assert name not in self.titles, f"two pictures are called {name}"
        self.titles[name] = title
        self._look(page, name)
        if dark and self.folder:
            self.titles[f"{name}-dark"] = f"{title}, dark"
            page.emulate_media(color_scheme="dark")
            if "/admin/" in page.url:
                # The administration looks at the scheme when it is loaded.
                page.reload()
            self._look(page, f"{name}-dark")
            page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 900})

    def _look(self, page: Page, name: str) -> None:
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            # The state is to be seen at its end, and without the pointer's or the caret's part in it.
            page.wait_for_timeout(150)
            if self.folder:
                self._keep(page, self.folder / f"{name}-{width}.png", width)
            self.findings += [f"{name} at {width}: {finding}" for finding in serious_findings(page)]
            if page.evaluate("document.documentElement.scrollWidth") > width:
                self.findings.append(f"{name} at {width}: {page.url} is wider than the window")

    def _keep(self, page: Page, path: Path, width: int) -> None:
        if page.locator("dialog[open]").count():
            # It covers the window, not the page.
            taken = page.screenshot(animations="disabled")
        else:
            height = min(int(page.evaluate("document.documentElement.scrollHeight")), MAX_HEIGHT)
            clip: FloatRect = {"x": 0, "y": 0, "width": width, "height": height}
            taken = page.screenshot(full_page=True, clip=clip, animations="disabled")
        blank = self.browser.new_page()
        small = base64.b64decode(blank.evaluate(PALETTE, base64.b64encode(taken).decode()))
        blank.close()
        path.write_bytes(small)

    def write_gallery(self) -> None:
        """Write a page that shows all the pictures, one line each."""
        assert self.folder
        lines = [
            "# Every page, as people see it",
            "",
            "`make screenshots` takes these pictures of a site of its own with invented people, at 1280 and 390 pixels, and has",
            "axe-core look at each page meanwhile. The keys and codes in them were that site’s and open nothing.",
            "",
            "| Page | 1280 pixels | 390 pixels |",
            "| --- | --- | --- |",
        ]
        for name, title in self.titles.items():
            wide, narrow = (
                f'<a href="{name}-{width}.png"><img src="{name}-{width}.png" width="{shown}" alt="{title}, {width} pixels"></a>'
                for width, shown in ((1280, 420), (390, 140))
            )
            lines.append(f"| {title} | {wide} | {narrow} |")
        (self.folder / "README.md").write_text("\n".join(lines) + "\n")

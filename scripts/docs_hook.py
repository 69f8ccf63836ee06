"""MkDocs' hooks during the build of the documentation: fit the pages to a strict Content-Security-Policy, and to a telephone.

Material writes a few scripts into its pages. `script-src 'self'` does not run those, so each becomes a file of its own. Cells of
tables get their column's heading, which `site.css` shows where a row becomes a card.
"""

import hashlib
import re
from html import escape, unescape
from pathlib import Path
from typing import Any

from mkdocs.utils import get_relative_url

TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
HEADING = re.compile(r"<th[^>]*>(.*?)</th>", re.DOTALL)
ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
TAG = re.compile(r"<[^>]+>")
# Material leaves its search without a name for screen readers.
NAMELESS, NAMED = 'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
CODE = re.compile(r"<code>.*?</code>", re.DOTALL)
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
FOLDER = "assets/inline"
# Made for a site with a fixed address, which ours has not.
UNUSED = ("404.html", "sitemap.xml", "sitemap.xml.gz")


def on_page_content(html: str, **more: Any) -> str:
    """Label the cells of tables in a page's content (MkDocs' hook)."""
    return TABLE.sub(lambda table: _label(table[0]), html)


def _label(table: str) -> str:
    headings = [escape(unescape(TAG.sub("", heading))) for heading in HEADING.findall(table)]

    def row(match: re.Match[str]) -> str:
        label = iter(headings)
        return re.sub(r"<td(?=[ >])", lambda _: f'<td data-label="{next(label, "")}"', match[0])

    # In a table a line between cells is told from one in a cell by a backslash, which Markdown leaves in code.
    return CODE.sub(lambda code: code[0].replace("\\|", "|"), ROW.sub(row, table))


def on_post_page(output: str, *, page: Any, config: Any) -> str:
    """Move a page's inline scripts into files before it is written (MkDocs' hook)."""
    site = Path(config.site_dir)

    def move(match: re.Match[str]) -> str:
        name = f"{FOLDER}/{hashlib.sha256(match[1].encode()).hexdigest()[:12]}.js"
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(match[1])
        return f'<script src="{get_relative_url(name, page.url)}"></script>'

    return INLINE.sub(move, output.replace(NAMELESS, NAMED))


def on_post_build(*, config: Any) -> None:
    """Remove unused files of the written site (MkDocs' hook)."""
    site = Path(config.site_dir)
    for path in (*(site / name for name in UNUSED), *site.rglob("*.map")):
        path.unlink(missing_ok=True)

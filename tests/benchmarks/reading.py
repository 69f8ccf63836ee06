"""How fast a folder of 100,000 files is listed, and how fast a zip comes, over a line like a person's. `make bench` runs it."""

import json
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.benchmarks import processors
from tests.benchmarks.bare_browser import DONE, BareBrowser, bare_browser
from tests.benchmarks.material import GIB, many_files, one_file
from tests.benchmarks.memory import Memory, of_web_server
from tests.benchmarks.processors import spent
from tests.benchmarks.relay.process import Line, RelayProcess
from tests.benchmarks.report import Row, at_least, at_most, beside, show, write
from tests.benchmarks.turns import ADDRESS, BUCKET, EMAIL, GROUP, prepare_group, sign_in
from tests.e2e.site import Site
from tests.e2e.uploading import PASSWORD
from tests.e2e.visitor import Visitor

LISTED, FOLDER = 100_000, "inputs/listed/"
FOLDER_LINK = f'#files [data-part="rows"] a[href*="{FOLDER.replace("/", "%2F")}"]'
DISTANT, USUAL = Line(0.03, None), Line(0.03, 300e6)
SEEDERS = 4
PIECE = 2**18
ALONE_MS = 1000
AREA = "From S3 to a browser"
HOW = (
    "The site of the table before, with a relay in front of S3 for the lists and one in front of the site for the zips. A list is "
    "timed from the click on its folder in a page that is open, by what the page shows; a zip from the request to the last byte."
)
# Clicks once nobody listens any more, and keeps the seconds until the first rows and until all of them are there.
CLICK = f"""([folder, selector]) => setTimeout(() => {{
  const began = performance.now();
  const section = document.getElementById("files");
  const table = section.querySelector('[data-part="table"]');
  const found = {{}};
  const look = setInterval(() => {{
    const isShown = !table.hidden && section.querySelector('[data-part="uri"]').textContent.endsWith(folder);
    if (isShown) found.first ??= (performance.now() - began) / 1000;
    if (!isShown || table.getAttribute("aria-busy") !== "false") return;
    clearInterval(look);
    found.all = (performance.now() - began) / 1000;
    found.count = section.querySelector('[data-part="count"]').textContent;
    window.measured = found;
    document.title = "{DONE}";
  }}, 10);
  section.querySelector(selector).click();
}}, {ALONE_MS})"""

ORDERS = ("[data-sort=size] button", "[data-sort=date] button", "[data-sort=name] button", "[data-part=last]")
# How long the page stands still for the slowest of these clicks, in seconds.
SLOWEST = """(buttons) => Math.max(...buttons.map((button) => {
  const began = performance.now();
  document.querySelector(`#files ${button}`).click();
  return (performance.now() - began) / 1000;
}))"""


@dataclass(frozen=True)
class Zip:
    """What came: seconds until its first byte and in all, its bytes, and what the web server held for it and used."""

    first: float
    seconds: float
    size: int
    memory: int
    used: str


def main(folder: Path) -> None:
    """Start a site behind two relays, measure everything, print and write the table."""
    site = Site(folder / "var", DEMO="0")
    with RelayProcess(site.aws_port) as to_s3, RelayProcess(site.port) as to_site:
        site.change(S3_BROWSER_URL=to_s3.endpoint)
        print("Starting a site ...", flush=True)
        site.start()
        try:
            prepare_group(site)
            rows = [*_lists(site, to_s3, folder), *_zips(site, to_site, folder)]
        finally:
            site.stop()
    show(rows, AREA)
    write(rows, AREA, HOW)


def _lists(site: Site, relay: RelayProcess, folder: Path) -> Iterator[Row]:
    print(f"Putting {LISTED:,} objects ...", flush=True)
    _seed(site)
    relay.set_line(DISTANT)
    with bare_browser(folder / "profile") as browser:
        name = "100,000 objects, 30 ms"
        listed, used = _click(site, relay, browser, _open_parent, (FOLDER, FOLDER_LINK))
        yield at_most(f"{name}: first rows", listed["first"], "s", 0.3)
        yield at_most(f"{name}: all of them", listed["all"], "s", 8, f"The page says: {listed['count']}. {used}")
        slowest = browser.visit(lambda page: page.evaluate(SLOWEST, list(ORDERS)))
        yield at_most(f"{name}: the slowest click, of sorting by size, date and name, and the last page", slowest, "s", 0.5)
        below, used = _click(site, relay, browser, _search_in_parent, ("inputs/", "#files [data-part=below]"))
        yield at_most(f"{name}: a search in all folders below", below["all"], "s", 8, f"The page says: {below['count']}. {used}")
    relay.set_line(Line(0.0, None))


def _click(
    site: Site, relay: RelayProcess, browser: BareBrowser, prepare: Callable[[Site, Page], None], place: tuple[str, str]
) -> tuple[dict[str, Any], str]:
    """Prepare a page and click. Returns what the page measured, and whose processor time it took.

    `place` is the folder that is listed then, and the selector of what is clicked.
    """
    assert site.pid is not None
    browser.visit(lambda page: prepare(site, page))
    roots = {
        site.pid: processors.of_site,
        relay.pid: processors.always(processors.RELAY),
        browser.pid: processors.of_browser,
    }
    with spent(roots) as used:
        browser.visit(lambda page: page.evaluate(CLICK, list(place)))
        measured = browser.wait_until_measured()
    return measured, _told(used)


def _told(used: dict[str, float]) -> str:
    return f"Processor seconds: {', '.join(f'{role} {seconds:.1f}' for role, seconds in used.items())}."


def _open_parent(site: Site, page: Page) -> None:
    sign_in(site, page)
    page.goto(f"{site.url}{ADDRESS}?path=inputs/")
    page.locator(FOLDER_LINK).wait_for()


def _search_in_parent(site: Site, page: Page) -> None:
    page.goto(f"{site.url}{ADDRESS}?path=inputs/")
    page.locator("#files [data-part=table]").wait_for()
    page.get_by_role("searchbox", name="Search in this folder").fill("099999")
    page.get_by_text("Nothing in this folder is called").wait_for()


def _zips(site: Site, relay: RelayProcess, folder: Path) -> Iterator[Row]:
    _send(site, folder)
    visitor = Visitor(relay.endpoint)
    visitor.sign_in(EMAIL, PASSWORD)
    relay.set_line(USUAL)
    assert USUAL.rate is not None
    for name, keys, check in (
        ("A zip of 5,000 files of 10 kB", ["small/"], folder / "small.zip"),
        ("A zip of one file of 1 GiB", ["one.bin"], None),
        ("A zip of one file of 5 GiB", ["five.bin"], None),
    ):
        print(f"{name} ...", flush=True)
        got = _fetch(site, relay, visitor, keys, check)
        label = f"{name}, 300 Mbit/s"
        yield at_most(f"{label}: first byte", got.first, "s", 1)
        link = got.size * 8 / USUAL.rate
        if check is None:
            yield at_least(f"{label}: all of it", [got.seconds], [link], "the link’s own time", 0.95, "s")
        else:
            assert len(zipfile.ZipFile(check).namelist()) == 5_000
            yield beside(f"{label}: all of it", got.seconds, link, "the link’s own time", got.used)
        yield at_most(f"{label}: memory of the web server", got.memory / 1e6, "MB", 100)


def _fetch(site: Site, relay: RelayProcess, visitor: Visitor, keys: list[str], keep: Path | None) -> Zip:
    assert site.pid is not None
    pid = site.pid
    roots = {pid: processors.of_site, relay.pid: processors.always(processors.RELAY)}
    with Memory(lambda: of_web_server(pid)) as memory, spent(roots) as used:
        began, size, first = time.monotonic(), 0, 0.0
        form = {"path": "inputs/", "keys": json.dumps(keys)}
        with visitor.download(f"{ADDRESS}zip/", form) as response, (keep or Path("/dev/null")).open("wb") as file:
            while piece := response.read1(PIECE):
                first = first or time.monotonic() - began
                size += len(piece)
                file.write(piece)
            assert size == int(response.headers["Content-Length"]), "The zip broke off."
        seconds = time.monotonic() - began
    return Zip(first, seconds, size, memory.above, _told(used))


def _send(site: Site, folder: Path) -> None:
    """Put small files, one of 1 GiB, and one of 5 GiB that is five times the same, put together from references."""
    s3, prefix = site.root("s3"), f"{GROUP}/inputs"
    small = many_files(folder / "small", 5_000, 10_000)
    with ThreadPoolExecutor(SEEDERS) as threads:
        list(threads.map(lambda file: _put(s3, f"{prefix}/small/{file.name}", file.read_bytes()), small.iterdir()))
    s3.upload_file(str(one_file(folder / "one")), BUCKET, f"{prefix}/one.bin")
    target = {"Bucket": BUCKET, "Key": f"{prefix}/five.bin"}
    upload = s3.create_multipart_upload(**target)["UploadId"]
    parts = []
    for number in range(1, 6):
        source = {"Bucket": BUCKET, "Key": f"{prefix}/one.bin"}
        copied = s3.upload_part_copy(**target, UploadId=upload, PartNumber=number, CopySource=source)
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(**target, UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.head_object(**target)["ContentLength"] == 5 * GIB


def _seed(site: Site) -> None:
    """Put the objects of the list, of one byte each."""
    s3 = site.root("s3")
    with ThreadPoolExecutor(SEEDERS) as threads:
        list(threads.map(lambda number: _put(s3, f"{GROUP}/{FOLDER}frame_{number:06d}.tif", b"x"), range(LISTED)))


def _put(s3: Any, key: str, content: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=content)

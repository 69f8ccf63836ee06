"""What the tests of the upload page share: a member who is signed in on it, and what they see."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.conftest import sign_in
from tests.e2e.site import Site
from tests.faults import wait_until

# Adds a field of the page's own, `#own`, for a file that nothing else is to look at.
ADD_FIELD = "() => { document.body.append(Object.assign(document.createElement('input'), { type: 'file', id: 'own' })); }"
# Reads the file of `#own` by the worker of the upload page, one piece after the other. Gives the CRC-32 of each, or says after how
# many pieces it stood for so many milliseconds.
READ_BY_WORKER = """({ worker: address, scripts, piece, still }) => new Promise((resolve, reject) => {
  const [file] = document.getElementById("own").files;
  const worker = new Worker(address);
  worker.postMessage({ scripts });
  const found = [];
  let timer;
  const next = () => {
    clearTimeout(timer);
    const at = found.length * piece;
    if (at >= file.size) return resolve(found);
    timer = setTimeout(() => resolve(`It stands after ${found.length} pieces.`), still);
    worker.postMessage({ id: found.length, blob: file.slice(at, at + piece) });
  };
  worker.onmessage = ({ data }) => {
    if (data.error) return reject(new Error(data.error));
    found.push(data.crc);
    next();
  };
  next();
})"""
PASSWORD = "correct horse battery staple 9"
SECONDS = 60_000


def make_member(site: Site, *, group: str, analysis: str, bucket: str, email: str) -> None:
    """Make a group with an analysis of this bucket, and a member whose password is PASSWORD, all the way to AWS."""
    site.must("analysis", "create", analysis, "--bucket", bucket)
    site.must("group", "create", group)
    site.must("analysis", "grant", analysis, group)
    site.must("member", "add", group, email, "--create", "--wait")
    site.wait_for_deployments()
    site.set_password(email, PASSWORD)


def make(path: Path, size: int) -> Path:
    """Write a file of so many random bytes, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def context_with_faults(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    """For a fixture: a browser of its own, after which no fault is left."""
    made = new_context(browser, site)
    yield made
    site.faults.clear()
    made.close()


def watched_page(context: BrowserContext, email: str, address: str) -> Iterator[Page]:
    """For a fixture: the upload page of this person. A script's error fails the test."""
    opened = open_page(context, email, address)
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    assert problems == []


def send_until(site: Site, page: Page, *, parts: int) -> None:
    """Press the button, and return when so many parts have begun to arrive at S3."""
    before = site.faults.counts["UploadPart"]
    send(page)
    wait_until(site.faults, "UploadPart", before + parts, seconds=60)


def open_page(context: BrowserContext, email: str, address: str) -> Page:
    """The upload page, for a person whose password is PASSWORD."""
    page = context.new_page()
    sign_in(page, email, PASSWORD)
    page.goto(address)
    page.locator("#upload[data-ready]").wait_for()
    return page


def new_context(browser: Browser, site: Site) -> BrowserContext:
    """A browser of its own, as on another device."""
    return browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 900})


def signed_in(browser: Browser, site: Site, email: str) -> Iterator[Page]:
    """For a fixture: a page in a browser of its own, of a person whose password is PASSWORD. A script's error fails the test."""
    context, problems = new_context(browser, site), []
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    sign_in(page, email, PASSWORD)
    yield page
    context.close()
    assert problems == []


def choose(page: Page, *paths: Path) -> None:
    """Choose files as the picker does; one folder is chosen with all that is in it."""
    wants_folder = len(paths) == 1 and paths[0].is_dir()
    more = page.locator(".uppy-DashboardContent-addMore")
    if more.is_visible():
        more.click()
    chooser = page.locator(
        f"#upload-drop input[type=file]{'[webkitdirectory]' if wants_folder else ':not([webkitdirectory])'}"
    ).first
    chooser.set_input_files(paths[0] if wants_folder else list(paths))


def send(page: Page) -> None:
    """Press the button that sends what was chosen."""
    page.locator(".uppy-StatusBar-actionBtn--upload").click()


def wait_until_complete(page: Page) -> None:
    """Return when everything that was chosen is there."""
    expect(page.locator(".uppy-StatusBar.is-complete")).to_be_visible(timeout=SECONDS)


def note(page: Page, text: str) -> None:
    """Return when the page says this about a file."""
    expect(page.locator("#upload-notes li").filter(has_text=re.compile(text)).first).to_be_visible(timeout=SECONDS)


def press_on(page: Page, name: str, button: str) -> None:
    """Press a button beside what the page says of one file."""
    page.locator("#upload-notes li").filter(has_text=name).get_by_role("button", name=button).click()


def accounted(page: Page, **numbers: int) -> None:
    """Return when the page says that so many files were `sent`, `skipped`, `refused`, ... and names no other outcome."""
    wanted = {"sent": 0, "skipped": 0, "refused": 0, **numbers}
    lines = page.locator("#upload-summary [data-account]")
    expect(page.locator("#upload-summary")).to_contain_text(
        re.compile(rf"\b{sum(wanted.values())} files? that you added"), timeout=SECONDS
    )
    for outcome, number in wanted.items():
        line = page.locator(f"#upload-summary [data-account={outcome}]")
        expect(line).to_have_attribute("data-number", str(number), timeout=SECONDS)
    assert lines.count() == len(wanted)


def drop(page: Page, *paths: Path) -> None:
    """Drop files and folders on the page, as from the computer's own windows."""
    box = page.locator("#upload-drop").bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for what in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": what, "x": box["x"] + 40, "y": box["y"] + 40, "data": data})
    session.detach()


def hash_at_s3(site: Site, bucket: str, key: str) -> str:
    """SHA-256 of what S3 holds."""
    body = site.root("s3").get_object(Bucket=bucket, Key=key)["Body"]
    digest = hashlib.sha256()
    for chunk in body.iter_chunks(2**20):
        digest.update(chunk)
    return digest.hexdigest()


def hash_of(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def keys_at_s3(site: Site, bucket: str, prefix: str) -> list[str]:
    """What S3 holds below a prefix."""
    return [content["Key"] for content in site.root("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]

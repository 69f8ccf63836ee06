"""At the speed of every row of the benchmark: a byte that S3 keeps wrong, and an object that appeared meanwhile, are seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.benchmarks.relay.process import Line, RelayProcess
from tests.e2e.site import Site
from tests.e2e.uploading import accounted, choose, hash_at_s3, hash_of, make, make_member, send, signed_in
from tests.faults import XML, Answer, Faults, Request
from tests.slow import slow

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(900), slow]

GROUP, BUCKET, EMAIL = "sure-lab", "cohort-e2e-sure", "sure@example.org"
ADDRESS = f"/groups/{GROUP}/files/sure/"
MIB = 2**20
NEAR, USUAL, FAR, DISTANT = Line(0.0, None), Line(0.03, 300e6), Line(0.1, None), Line(0.03, None)
THEIRS = b"of somebody else"


@dataclass(frozen=True)
class Lab:
    """A site whose browsers reach S3 over a line, with what S3 does wrong at its end."""

    site: Site
    relay: RelayProcess
    faults: Faults


@dataclass(frozen=True)
class Row:
    """A row of the benchmark: its line, and its kinds of files, as many as take seconds."""

    line: Line
    small: int = 0
    small_size: int = 100_000
    folders: int = 1
    large: int = 0


ROWS = {
    "small files, far": Row(FAR, small=300),
    "small files": Row(USUAL, small=300),
    "tiny files in folders": Row(DISTANT, small=1_000, small_size=10_000, folders=50),
    "large and small files": Row(USUAL, small=200, large=2),
    "large files": Row(USUAL, large=2),
    "large files, near": Row(NEAR, large=2),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    site = Site(tmp_path_factory.mktemp("sure") / "var", DEMO="0")
    with Faults(site.aws_port) as faults, RelayProcess(faults.port) as relay:
        site.change(S3_BROWSER_URL=relay.endpoint)
        site.start()
        try:
            make_member(site, group=GROUP, analysis="sure", bucket=BUCKET, email=EMAIL)
            yield Lab(site, relay, faults)
        finally:
            site.stop()


@pytest.fixture
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    for opened in signed_in(browser, lab.site, EMAIL):
        opened.goto(ADDRESS)
        opened.locator("#upload[data-ready]").wait_for()
        yield opened
        lab.faults.clear()
        lab.relay.set_line(NEAR)


def made_for(row: Row, folder: Path) -> list[Path]:
    small = [
        make(folder / f"folder-{number % row.folders:03d}" / f"{number:05d}.bin", row.small_size) for number in range(row.small)
    ]
    return [*small, *(make(folder / f"large-{number}.bin", 40 * MIB) for number in range(row.large))]


def keep_a_wrong_byte(s3: Any, key: str) -> Any:
    """What S3 does with a body of which it keeps one byte wrong, without noticing."""

    def deed(request: Request) -> Answer:
        wrong = bytes([request.body[0] ^ 1]) + request.body[1:]
        target = {"Bucket": BUCKET, "Key": key, "Body": wrong}
        if request.action == "UploadPart":
            part = {"UploadId": request.query["uploadId"][0], "PartNumber": int(request.query["partNumber"][0])}
            etag = s3.upload_part(**target, **part)["ETag"]
        else:
            etag = s3.put_object(**target)["ETag"]
        return Answer(200, [*XML, ("Access-Control-Expose-Headers", "ETag"), ("ETag", etag)], b"")

    return deed


@pytest.mark.parametrize("name", ROWS)
def test_a_wrong_byte_and_an_object_that_appeared_are_seen(lab: Lab, page: Page, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name.replace(" ", "-").replace(",", "")
    files = made_for(ROWS[name], folder)
    keys = {file: f"{GROUP}/inputs/{file.relative_to(tmp_path)}" for file in files}
    s3 = lab.site.root("s3")
    # Of the last kind, which is the large one where there are both.
    wrong, taken = files[-1], files[-2]
    is_large = taken.stat().st_size > MIB
    lab.faults.add(
        "deed", action="UploadPart" if is_large else "PutObject", ends=wrong.name, times=1, deed=keep_a_wrong_byte(s3, keys[wrong])
    )

    def appear(request: Request) -> None:
        s3.put_object(Bucket=BUCKET, Key=keys[taken], Body=THEIRS)

    last_word = "CompleteMultipartUpload" if is_large else "PutObject"
    lab.faults.add("deed", action=last_word, ends=taken.name, times=1, deed=appear)
    lab.relay.set_line(ROWS[name].line)
    choose(page, folder)
    send(page)
    page.get_by_role("button", name="Keep").first.click(timeout=120_000)
    expect(page.locator(".uppy-StatusBar.is-complete")).to_be_visible(timeout=120_000)
    accounted(page, sent=len(files) - 1, skipped=1)
    assert s3.get_object(Bucket=BUCKET, Key=keys[taken])["Body"].read() == THEIRS
    for file in files[-3:]:
        if file != taken:
            assert hash_at_s3(lab.site, BUCKET, keys[file]) == hash_of(file)

"""How fast files get from a browser into S3, against `aws s3 cp` of the same files. `make bench` runs it."""

import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from stacks.environment import isolated
from tests.benchmarks.bare_browser import MEASURE, bare_browser, choose
from tests.benchmarks.report import Row, at_least, at_most, show, write
from tests.e2e.browser import find_chromium
from tests.e2e.site import Site
from tests.e2e.uploading import PASSWORD

GROUP, ANALYSIS, BUCKET, EMAIL = "bench-lab", "bench", "cohort-bench", "bench@example.org"
ADDRESS = f"/groups/{GROUP}/files/{ANALYSIS}/"
MIB = 2**20
GIB = 2**30
ROUNDS = 3
MANY, SMALL = 2_000, 100_000
DELAY_SECONDS = 0.05
AREA = "From a browser to S3"
HOW = (
    "Chromium, the site and the embedded AWS (IAM enforced, every object written to the disk) on one machine, which share its "
    "cores. The peer is `aws s3 cp` with its own settings (10 requests at a time) and a member's short-lived credentials. Medians "
    "of three, the two in turns. Timed from pressing “Upload” until the page says complete, which is after the control plane has "
    "asked S3 for size and checksum; `aws s3 cp` from its start to its end. Nothing listens to the browser while it sends."
)


@dataclass
class Measured:
    """What the rounds gave: seconds, and requests to the control plane."""

    browser: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)


def main(folder: Path) -> None:
    """Start a site, measure everything, print and write the table."""
    if shutil.which("aws") is None or find_chromium() is None:
        print("The uploads are not measured: `aws` (the AWS command line) or Chromium is missing. Install both, and run it again.")
        return
    site = Site(folder / "var", DEMO="0")
    print("Starting a site ...", flush=True)
    site.start()
    try:
        rows = list(_measures(site, folder))
    finally:
        site.stop()
    show(rows, AREA)
    write(rows, AREA, HOW)


def _measures(site: Site, folder: Path) -> Iterator[Row]:
    site.must("analysis", "create", ANALYSIS, "--bucket", BUCKET)
    site.must("group", "create", GROUP)
    site.must("analysis", "grant", ANALYSIS, GROUP)
    site.must("member", "add", GROUP, EMAIL, "--create", "--wait")
    site.wait_for_deployments()
    site.set_password(EMAIL, PASSWORD)
    bench = Bench(site, folder)
    # First: after the large files the disk is busy for minutes with what it was given.
    many = bench.rounds("2,000 files of 100 kB", _many_files(folder / "many"))
    limit = (
        "Each file is a preflight and a PUT, and takes Chromium 7 ms of processor, of which 1 ms is the page's; S3 is one Python "
        "process here, and the browser opens six connections to a host where `aws s3 cp` has ten."
    )
    yield at_least("2,000 files of 100 kB", many.browser, many.peer, "`aws s3 cp --recursive`", 0.5, "s", limit)
    one = bench.rounds("one file of 1 GiB", _one_file(folder / "one"))
    used = bench.memory(_one_file(folder / "one"))
    reason = (
        "Putting the parts together takes S3 about 4.5 s of either. Before that its one Python process and Chromium, which reads "
        "each byte twice and hands it on from process to process, take all of both cores; `aws s3 cp` leaves S3 a core of its own."
    )
    yield at_least("one file of 1 GiB", one.browser, one.peer, "`aws s3 cp`", 1.0, "s", reason)
    memory = (
        "Proportional set size of all of Chromium’s processes: the most while sending, less the idle page’s; in a turn of its own."
    )
    yield at_most("browser memory while sending it", used, "MB", 150, memory)
    requests = "Beside those that begin and finish a file."
    yield at_most("requests to the control plane for it", statistics.median(one.requests), "", 2, requests)
    with bench.delay():
        far = bench.rounds("one file of 1 GiB, each request delayed by 50 ms", _one_file(folder / "one"))
    yield at_least("the same, each request delayed by 50 ms", far.browser, far.peer, "`aws s3 cp`", 1.0, "s")


class Bench:
    """The two ways of sending, in turns. What arrived is removed before the next turn: S3 here keeps it in memory."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder
        self._turn = 0

    @contextmanager
    def delay(self) -> Iterator[None]:
        """Each request to AWS is answered later meanwhile."""
        file = self._site.var / "aws/delay"
        file.write_text(str(DELAY_SECONDS))
        try:
            yield
        finally:
            file.unlink()

    def rounds(self, what: str, source: Path) -> Measured:
        """Send `source`, a file or a folder, both ways, ROUNDS times."""
        measured = Measured()
        for number in range(ROUNDS):
            print(f"\r{what}: {number + 1} of {ROUNDS}   ", end="", flush=True)
            measured.peer.append(self._by_command_line(source))
            self._empty()
            self._by_browser(source, measured)
            self._empty()
        print(flush=True)
        return measured

    def memory(self, source: Path) -> float:
        """The most that Chromium takes while it sends, in megabytes above the idle page; looking takes time from all else."""
        watched = Memory()
        self._by_browser(source, Measured(), watched)
        self._empty()
        return watched.above / 1e6

    def _by_command_line(self, source: Path) -> float:
        credentials = self._site.credentials(GROUP, EMAIL)
        settings = {
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        target = f"s3://{BUCKET}/{GROUP}/inputs/{source.name}"
        more = ["--recursive"] if source.is_dir() else []
        command = ["aws", "--endpoint-url", self._site.endpoint, "s3", "cp", str(source), target, "--only-show-errors", *more]
        began = time.monotonic()
        subprocess.run(command, env=isolated(os.environ, settings), check=True)
        return time.monotonic() - began

    def _by_browser(self, source: Path, measured: Measured, memory: "Memory | None" = None) -> None:
        self._turn += 1
        with bare_browser(self._folder / f"profile-{self._turn}") as browser:
            browser.visit(lambda page: self._prepare(page, source))
            with memory or nullcontext():
                browser.visit(lambda page: page.evaluate(MEASURE))
                told = browser.wait_until_measured()
        measured.browser.append(told["seconds"])
        asked = [url for url in told["asked"] if url.startswith(self._site.url)]
        measured.requests.append(len([url for url in asked if not url.endswith(("/start", "/finish"))]))

    def _prepare(self, page: Page, source: Path) -> None:
        page.goto(f"{self._site.url}/accounts/login/")
        page.get_by_label("E-mail address").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{self._site.url}/")
        page.goto(f"{self._site.url}{ADDRESS}")
        page.locator("#upload[data-ready]").wait_for()
        page.locator("#files [data-part=count]").wait_for()
        choose(page, source)
        page.wait_for_timeout(1500)

    def _empty(self) -> None:
        s3 = self._site.root("s3")
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
            listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if listed:
                objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in listed]
                s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})


class Memory:
    """Chromium's memory, looked at ten times a second: the most above what it was at first, in bytes."""

    def __init__(self) -> None:
        self.above = 0
        self._idle = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._idle = _chromium_bytes()
        self._thread.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        # Seldom enough to leave the cores to what is measured.
        while not self._done.wait(0.25):
            self.above = max(self.above, _chromium_bytes() - self._idle)


def _chromium_bytes() -> int:
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"chrom" not in (process / "cmdline").read_bytes().split(b"\0")[0]:
                continue
            rollup = (process / "smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def _one_file(path: Path) -> Path:
    if not path.exists():
        with path.open("wb") as file:
            for _ in range(GIB // (16 * MIB)):
                file.write(os.urandom(16 * MIB))
    return path


def _many_files(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(MANY):
        (folder / f"{number:05d}.bin").write_bytes(os.urandom(SMALL))
    return folder


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""A browser reads a large file to its end, piece by piece, by the worker of the upload page."""

import os
import threading
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from control_plane.base.config import ROOT
from tests.e2e.browser import ARGUMENTS, MISSING, find_chromium

PIECE, PIECES = 8 * 2**20, 16
STILL_MS = 5_000
# One worker that has nothing else to do, as with a file that is sent over a slow line, whose garbage is collected all the time.
# Gives the checksums, or says after how many it stood.
READ = """([piece, still]) => new Promise((resolve) => {
  const [file] = document.querySelector("#file").files;
  const worker = new Worker("/web/uploads/static/uploads/checksum-worker.js");
  const collecting = URL.createObjectURL(new Blob(["setInterval(gc, 5)"]));
  const dist = "/node_modules/hash-wasm/dist";
  worker.postMessage({ scripts: [`${dist}/crc32.umd.min.js`, `${dist}/md5.umd.min.js`, collecting] });
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
    found.push(data.crc);
    next();
  };
  next();
})"""


@pytest.fixture
def address() -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(ROOT))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, "--js-flags=--expose-gc"])
        yield chromium
        chromium.close()


def test_a_browser_that_collects_its_garbage_reads_on(browser: Browser, address: str, tmp_path: Path) -> None:
    # Without blocks of its own: what is read of it are zeros.
    large = tmp_path / "large.bin"
    large.touch()
    os.truncate(large, PIECE * PIECES)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/tests/e2e/")
        page.evaluate("() => { document.body.innerHTML = '<input type=file id=file>'; }")
        page.set_input_files("#file", large)
        found = page.evaluate(READ, [PIECE, STILL_MS])
    assert found == [zlib.crc32(bytes(PIECE))] * PIECES

"""A browser reads a file to its end, piece by piece, by the worker of the upload page."""

import os
import threading
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from control_plane.base.config import ROOT
from tests.e2e.conftest import launched
from tests.e2e.uploading import ADD_FIELD, READ_BY_WORKER

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

PIECES, STILL_MS = 16, 5_000
HASHES = "/node_modules/hash-wasm/dist"


@pytest.fixture
def address() -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(ROOT))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launched("--js-flags=--expose-gc")


# Parts are read little by little, a small file at once.
@pytest.mark.parametrize("piece", [8 * 2**20, 2**20])
def test_a_browser_that_collects_its_garbage_all_the_time_reads_on(
    browser: Browser, address: str, tmp_path: Path, piece: int
) -> None:
    # Without blocks of its own: what is read of it are zeros.
    file = tmp_path / "large.bin"
    file.touch()
    os.truncate(file, piece * PIECES)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/tests/e2e/")
        page.evaluate(ADD_FIELD)
        page.set_input_files("#own", file)
        collecting = page.evaluate("() => URL.createObjectURL(new Blob(['setInterval(gc, 5)']))")
        asked = {
            "worker": "/web/uploads/static/uploads/checksum-worker.js",
            "scripts": [f"{HASHES}/crc32.umd.min.js", f"{HASHES}/md5.umd.min.js", collecting],
            "piece": piece,
            "still": STILL_MS,
        }
        found = page.evaluate(READ_BY_WORKER, asked)
    assert found == [zlib.crc32(bytes(piece))] * PIECES

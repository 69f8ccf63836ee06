"""The same size reads the same everywhere."""

import json
import subprocess
from pathlib import Path

import pytest
from django.template import Context, Template

from control_plane.base.sizes import format_size

ROOT = Path(__file__).resolve().parents[3]
FORMAT = ROOT / "web/files/static/files/format.js"
SIZES = {
    0: "0 bytes",
    1: "1 byte",
    999: "999 bytes",
    1000: "1 kB",
    1024: "1.02 kB",
    1125: "1.13 kB",
    12_345: "12.3 kB",
    999_499: "999 kB",
    999_500: "1 MB",
    199_999_999: "200 MB",
    200_000_000: "200 MB",
    1_250_000_000: "1.25 GB",
    5 * 2**40: "5.5 TB",
    10**15: "1 PB",
}


@pytest.mark.parametrize(("number", "words"), SIZES.items())
def test_a_megabyte_is_a_million_bytes(number: int, words: str) -> None:
    assert format_size(number) == words
    assert Template("{{ number|size }}").render(Context({"number": number})) == words


def test_a_browser_says_a_size_as_the_server_does() -> None:
    script = f"import {{ size }} from {FORMAT.as_uri()!r}; console.log(JSON.stringify({list(SIZES)}.map(size)))"
    command = [str(ROOT / ".venv/bin/node"), "--input-type=module", "--eval", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == list(SIZES.values())


def test_no_page_and_no_script_counts_in_other_units() -> None:
    texts = [
        *ROOT.glob("web/**/*.html"),
        *ROOT.glob("control_plane/**/*.html"),
        *ROOT.glob("web/**/*.py"),
        *ROOT.glob("control_plane/**/*.py"),
    ]
    assert [path.name for path in texts if "filesizeformat" in path.read_text()] == []

"""A site with people in it, and pages signed in as each of them."""

import base64
import hmac
import json
import re
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from typing import Any

from playwright.sync_api import Browser, Page

from tests.e2e.site import Site
from tests.screenshots.camera import Camera
from tests.screenshots.cast import BUCKET, CLASHING, GROUP

MAIL_SECONDS = 30


class Studio:
    """What every tour works with."""

    def __init__(self, site: Site, browser: Browser, camera: Camera) -> None:
        self.site, self.browser, self.camera = site, browser, camera
        made = self._make()
        self._sessions: dict[str, str] = made["sessions"]
        self.code: str = made["code"]

    def _make(self) -> Any:
        iam = self.site.root("iam")
        iam.create_role(RoleName=f"cohort-{CLASHING}", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
        done = self.site.manage("shell", "-c", "from tests.screenshots.scene import make; make()")
        found = re.search(r"^made=(.*)$", done.out, re.MULTILINE)
        assert found, done.err + done.out
        self.site.wait_for_deployments()
        iam.delete_role(RoleName=f"cohort-{CLASHING}")
        s3 = self.site.root("s3")
        for key, body in files().items():
            s3.put_object(Bucket=BUCKET, Key=f"{GROUP}/{key}", Body=body)
        return json.loads(found[1])

    @contextmanager
    def visitor(self) -> Iterator[Page]:
        """A page of somebody who is not signed in. A script's error, or what the page's policy blocks, is a finding."""
        context = self.browser.new_context(base_url=self.site.url, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        found = self.camera.findings
        page.on("pageerror", lambda error: found.append(f"{page.url}: {error}"))
        page.on("console", lambda line: found.append(f"{page.url}: {line.text}") if "Content Security" in line.text else None)
        page.on("dialog", lambda dialog: dialog.accept())
        yield page
        context.close()

    @contextmanager
    def person(self, name: str) -> Iterator[Page]:
        """A page of somebody who is signed in."""
        with self.visitor() as page:
            page.context.add_cookies([{"name": "sessionid", "value": self._sessions[name], "url": self.site.url}])
            yield page

    def link_in_mail(self, recipient: str, word: str) -> str:
        """The link with this word in the newest message to this person."""
        deadline = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < deadline:
            for path in sorted((self.site.var / "mail").glob("*"), key=lambda one: one.stat().st_mtime, reverse=True):
                for raw in re.split(rb"\n-{70,}\n", path.read_bytes()):
                    message = message_from_bytes(raw.lstrip(), policy=policy.default)
                    links = re.findall(r"https?://\S+", message.get_content()) if message["To"] == recipient else []
                    if links and word in links[0]:
                        return str(links[0])
            time.sleep(0.2)
        raise AssertionError(f"No message with {word!r} to {recipient}")


def one_time_code(secret: str) -> str:
    """What an authenticator app shows for this secret now (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.digest(base64.b32decode(secret), counter, "sha1")
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def picture() -> bytes:
    """A shaded spiral, as a PNG of 320 by 240."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def shade(x: int, y: int) -> int:
        across, down = x - 160, y - 120
        turn = complex(across, down)
        angle = int((abs(turn) * 3 + (across * down) / 40) % 256)
        return angle if abs(turn) < 110 else 235

    rows = b"".join(b"\0" + bytes(shade(x, y) for x in range(320)) for y in range(240))
    header = struct.pack(">IIBBBBB", 320, 240, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def files() -> dict[str, bytes]:
    """What lies in the group's folder."""
    sides = [(bone, side) for bone in ("humerus", "radius", "ulna", "femur") for side in ("left", "right")]
    table = "".join(
        f"{bone},{length},{side},{'restored' if length % 3 == 0 else ''}\n" for length, (bone, side) in enumerate(sides, 41)
    )
    day = "inputs/2026-05 Lyme Regis/"
    return {
        f"{day}vertebrae.csv": f"bone,length in mm,side,note\n{table}".encode(),
        f"{day}ammonite, étage 3.png": picture(),
        f"{day}notes.txt": b"Layer of blue lias, two paces from the waterfall.\nTide turned at four.\n" * 8,
        f"{day}scan 01.tiff": bytes(6_300_000),
        f"{day}scan 02.tiff": bytes(5_900_000),
        f"{day}settings.json": b'{"voltage": 120, "rotation": 0.25}',
        f"{day}slices/0001.dat": bytes(40_000),
        f"{day}slices/0002.dat": bytes(40_000),
        "inputs/readme.txt": b"One folder per field trip.\n",
        "configs/segmentation.yaml": b"threshold: 0.4\n",
        "results/job-12/summary.md": b"# 8 bones found\n",
    }

"""The e-mails that a site wrote into its folder."""

import re
import time
from email import message_from_bytes, policy

from tests.e2e.site import Site

SECONDS = 30


def link_in_mail(site: Site, recipient: str, subject: str) -> str:
    """The one link of the newest e-mail to this person whose subject holds these words."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for path in sorted((site.var / "mail").glob("*"), key=lambda one: one.stat().st_mtime, reverse=True):
            for raw in re.split(rb"\n-{70,}\n", path.read_bytes()):
                found = message_from_bytes(raw.lstrip(), policy=policy.default)
                if found["To"] == recipient and subject in (found["Subject"] or ""):
                    [link] = re.findall(r"https?://\S+", found.get_content())
                    return str(link)
        time.sleep(0.2)
    raise AssertionError(f"No e-mail about {subject!r} to {recipient}")

"""A folder too large to make for a test: S3's lists of it, answered in the browser."""

import re
from bisect import bisect_right
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, Route

MANY = 100_000


class Listing:
    """A folder of a hundred thousand files, as S3 would list it. After the first answer it waits to be told to go on."""

    def __init__(self, page: Page) -> None:
        self.calls = 0
        self._held: list[Route] = []
        self._may_go = False
        page.route(re.compile("list-type=2"), self._asked)

    def go_on(self) -> None:
        self._may_go = True
        for route in self._held:
            self._answer(route)

    def _asked(self, route: Route) -> None:
        if self.calls and not self._may_go:
            self._held.append(route)
        else:
            self._answer(route)

    def _answer(self, route: Route) -> None:
        self.calls += 1
        query = parse_qs(urlsplit(route.request.url).query)
        prefix, after = query["prefix"][0], query.get("start-after", [""])[0]
        first = int(query.get("continuation-token", ["0"])[0]) or bisect_right(
            range(MANY), after, key=lambda number: _key(prefix, number)
        )
        end = min(first + int(query["max-keys"][0]), MANY)
        entries = "".join(
            f"<Contents><Key>{_key(prefix, number)}</Key><Size>{size_of(number)}</Size>"
            f"<LastModified>2026-01-{1 + number % 28:02d}T10:00:00.000Z</LastModified><ETag>e</ETag></Contents>"
            for number in range(first, end)
        )
        token = "" if end == MANY else f"<NextContinuationToken>{end}</NextContinuationToken>"
        body = f"<ListBucketResult><IsTruncated>{str(end < MANY).lower()}</IsTruncated>{token}{entries}</ListBucketResult>"
        route.fulfill(body=body, content_type="application/xml", headers={"access-control-allow-origin": "*"})


def size_of(number: int) -> int:
    """Return the size of a file, of which no other has the same."""
    return number * 7919 % 1_000_003


def _key(prefix: str, number: int) -> str:
    return f"{prefix}file-{number:06d}.dat"

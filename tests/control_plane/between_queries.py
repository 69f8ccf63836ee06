"""What another process does between two queries of a page that follows by itself."""

from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

LOOKS_AGAIN = 'hx-trigger="every'


class Meanwhile:
    """Does something once, after so many queries, as another process would in the middle of a page."""

    def __init__(self, queries: int, do: Callable[[], object]) -> None:
        self._left, self._do = queries, do

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        self._left -= 1
        if self._left == 0:
            self._do()
        return answer


def pages_while(client: Client, path: str, do: Callable[[], object]) -> list[str]:
    """The page's moving part once for each of its queries, with `do` done after that query."""
    fragment = {"HX-Request": "true"}
    with CaptureQueriesContext(connection) as queries:
        client.get(path, headers=fragment)
    pages = []
    for number in range(1, len(queries) + 1):
        with transaction.atomic():
            with connection.execute_wrapper(Meanwhile(number, do)):
                pages.append(client.get(path, headers=fragment).content.decode())
            transaction.set_rollback(True)
    return pages

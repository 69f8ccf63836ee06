"""Keys of a bucket in order, so that a page of a list costs what it shows and not what the bucket holds.

ministack sorts all keys of the bucket for each page: of 100,000 objects a tenth of a second for each of a hundred pages.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from ministack.services import s3

# Contents, common prefixes, whether there is more, and the last row, which the next page begins after.
Page = tuple[list[str], list[str], bool, str]


class SortedObjects(dict[str, Any]):
    """A bucket's objects by key, as ministack holds them, and their keys in order.

    ministack changes them in these three ways alone.
    """

    def __init__(self, objects: dict[str, Any]) -> None:
        """Hold these objects."""
        super().__init__(objects)
        self.keys_in_order = sorted(objects)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self:
            insort(self.keys_in_order, key)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        del self.keys_in_order[bisect_left(self.keys_in_order, key)]

    def pop(self, key: str, *default: Any) -> Any:
        """Remove the key, and return its object; the default, if there is one, where there is no such key."""
        if key in self:
            del self.keys_in_order[bisect_left(self.keys_in_order, key)]
        return super().pop(key, *default)

    def rows(self, prefix: str, delimiter: str, after: str) -> Iterator[tuple[str, bool]]:
        """Return the keys that begin with the prefix, and whether each stands for all below it, from the first row after `after`.

        A key with the delimiter after the prefix is cut behind it, and stands for every other that is cut to the same.
        """
        keys = self.keys_in_order
        at = max(bisect_left(keys, prefix), bisect_right(keys, after))
        while at < len(keys) and keys[at].startswith(prefix):
            key = keys[at]
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                yield key, False
                at += 1
                continue
            common = key[: cut + len(delimiter)]
            if common > after:
                yield common, True
            at = _end_of(keys, common, at)


def _end_of(keys: list[str], prefix: str, first: int) -> int:
    """Return where the keys that begin with the prefix end; `first` is one of them."""
    return bisect_left(keys, True, first, key=lambda key: not key.startswith(prefix))


def install() -> None:
    """Have ministack's lists go by the order. Before what wraps S3's operations."""
    find: Callable[[str], dict[str, Any] | None] = s3._ensure_bucket

    def ensure_bucket(name: str) -> dict[str, Any] | None:
        bucket = find(name)
        if bucket is not None and not isinstance(bucket["objects"], SortedObjects):
            bucket["objects"] = SortedObjects(bucket["objects"])
        return bucket

    s3._ensure_bucket = ensure_bucket
    s3._collect_list_entries = collect_rows


def collect_rows(objects: SortedObjects, prefix: str, delimiter: str, most: int, after: str) -> Page:
    """Return a page of at most so many rows, from the first after `after`, as ministack's own function of this name does."""
    rows = list(islice(objects.rows(prefix, delimiter, after), most + 1))
    page = rows[:most]
    contents = [row for row, stands_for_more in page if not stands_for_more]
    folders = [row for row, stands_for_more in page if stands_for_more]
    return contents, folders, len(rows) > most, page[-1][0] if page else ""

"""Lists by the order of a bucket's keys. The witness is ministack's own function, which sorts all keys for each page."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ministack.services import s3

from local_aws._sorted_keys import Page, SortedObjects, collect_rows

KEYS = st.lists(st.text(alphabet="ab/\U0010ffff", min_size=1, max_size=6), max_size=30)
PARTS = st.text(alphabet="ab/\U0010ffff", max_size=3)


def pages(collect: Any, objects: Any, prefix: str, delimiter: str, most: int, after: str) -> list[Page]:
    """Return every page, each begun where the last one ended."""
    found = [collect(objects, prefix, delimiter, most, after)]
    while found[-1][2]:
        found.append(collect(objects, prefix, delimiter, most, found[-1][3]))
    return found


@given(KEYS, PARTS, st.sampled_from(["", "/", "a/"]), st.integers(1, 4), PARTS)
def test_every_page_is_the_one_that_sorting_all_keys_gives(
    keys: list[str], prefix: str, delimiter: str, most: int, after: str
) -> None:
    objects = SortedObjects(dict.fromkeys(keys, 1))
    asked = (prefix, delimiter, most, after)
    assert pages(collect_rows, objects, *asked) == pages(s3._collect_list_entries, objects, *asked)


@given(KEYS, KEYS, KEYS)
def test_what_comes_and_goes_keeps_the_order(before: list[str], added: list[str], gone: list[str]) -> None:
    objects, plain = SortedObjects(dict.fromkeys(before, 1)), dict.fromkeys(before, 1)
    for key in added:
        objects[key] = plain[key] = 2
    for key in gone:
        assert objects.pop(key, None) == plain.pop(key, None)
    if plain:
        last = max(plain)
        del objects[last], plain[last]
    assert objects == plain
    assert objects.keys_in_order == sorted(plain)

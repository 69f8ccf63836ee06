"""Cells of a CSV file: how a value is written so that no spreadsheet runs it, and how it is read back.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula (OWASP, "CSV Injection"), full-width signs
included. An apostrophe before it says that it is text. A value that has such an apostrophe itself gets
another, so that reading undoes writing.
"""

import csv
from collections.abc import Iterable

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
APOSTROPHE = "'"


def csv_line(values: Iterable[object]) -> str:
    """One line of a file, with its end of line: text as `write_cell` has it, numbers as they are."""
    line: str = csv.writer(_Echo()).writerow([write_cell(value) if isinstance(value, str) else value for value in values])
    return line


def write_cell(value: str) -> str:
    """Return the value as it is written to the file."""
    return APOSTROPHE + value if _looks_like_formula(value) else value


def read_cell(text: str) -> str:
    """Return the value that `write_cell` was given, without surrounding white space, which people cannot see."""
    value = text.strip().strip("\ufeff\u200b").strip()
    return value[1:] if value.startswith(APOSTROPHE) and _looks_like_formula(value[1:]) else value


def _looks_like_formula(value: str) -> bool:
    return value.lstrip(" '\u00a0").startswith(FORMULA_STARTS)


class _Echo:
    """A file that gives each line back instead of keeping it."""

    def write(self, text: str) -> str:
        return text

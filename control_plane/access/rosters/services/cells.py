"""Cells of a CSV file: writing values so that no spreadsheet runs them, and reading them back.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula (OWASP, "CSV Injection"), full-width signs
included. An apostrophe before it says that it is text. A value that has such an apostrophe itself gets
another, so that reading undoes writing.
"""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
APOSTROPHE = "'"


def write_cell(value: str) -> str:
    """Return the value as it is written to the file."""
    return APOSTROPHE + value if _looks_like_formula(value) else value


def read_cell(text: str) -> str:
    """Return the value that `write_cell` was given, without surrounding white space, which people cannot see."""
    value = text.strip().strip("\ufeff\u200b").strip()
    return value[1:] if value.startswith(APOSTROPHE) and _looks_like_formula(value[1:]) else value


def _looks_like_formula(value: str) -> bool:
    return value.lstrip(" '\u00a0").startswith(FORMULA_STARTS)

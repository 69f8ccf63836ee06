"""The record itself: texts by their paths; written, read, and compared."""

import difflib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

Record = dict[str, str]


class Empty(AssertionError):
    """A part of the record has nothing in it, so that it would show no difference."""


def write(record: Mapping[str, str], folder: Path, sections: tuple[str, ...]) -> None:
    """Put these sections in the place of what the folder holds of them. Raises Empty."""
    check(record, sections)
    for section in sections:
        shutil.rmtree(folder / section, ignore_errors=True)
        (folder / f"{section}.txt").unlink(missing_ok=True)
    for path, text in record.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def read(folder: Path, sections: tuple[str, ...]) -> Record:
    """What the folder holds of these sections."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {path: (folder / path).read_text() for path in sorted(found) if section_of(path) in sections}


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """A unified diff of both, line by line."""
    for path in sorted({*before, *now}):
        old, new = (lines.get(path, "").splitlines() for lines in (before, now))
        yield from difflib.unified_diff(old, new, f"recorded/{path}", f"now/{path}", lineterm="")


def check(record: Mapping[str, str], sections: tuple[str, ...]) -> None:
    """Raise Empty where a section, or one of its files, holds nothing."""
    if nothing := [path for path, text in record.items() if not text.strip()]:
        raise Empty(f"nothing is recorded in {', '.join(sorted(nothing))}")
    if missing := set(sections) - {section_of(path) for path in record}:
        raise Empty(f"nothing is recorded of {', '.join(sorted(missing))}")


def section_of(path: str) -> str:
    """Which section a file belongs to: its folder, or its name."""
    return path.partition("/")[0].removesuffix(".txt")

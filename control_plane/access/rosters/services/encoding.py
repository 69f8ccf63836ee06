"""A file's letters: UTF-8, with or without a mark before it, or Windows-1252, as Excel's plain CSV has them where that can be told.

For anything else it is said what it seems to be.
"""

import re
from typing import NamedTuple

_SAVE = "Save it as “CSV UTF-8” and try again. Nothing was read."
# By their first bytes; those of UTF-32 before those of UTF-16, which they begin with.
_OTHERS = (
    (b"PK\x03\x04", "This is an Excel or LibreOffice workbook, not a CSV file."),
    (b"\xd0\xcf\x11\xe0", "This is an old Excel workbook, not a CSV file."),
    (b"%PDF", "This is a PDF, not a CSV file."),
    (b"\xff\xfe\x00\x00", "The file’s letters are UTF-32."),
    (b"\x00\x00\xfe\xff", "The file’s letters are UTF-32."),
    (b"\xff\xfe", "The file’s letters are UTF-16, as Excel’s “Unicode text” are."),
    (b"\xfe\xff", "The file’s letters are UTF-16, as Excel’s “Unicode text” are."),
)
MAX_BYTES = 2_000_000
MAX_EXAMPLES = 8
# What people write in a roster with Windows-1252: Latin letters, and the marks of its punctuation where they stand in a text. In
# other encodings the same bytes are signs within words, capitals after small letters, or words without any plain letter.
_SMALL, _CAPITAL = "a-zß-öø-ÿœšžƒ", "A-ZÀ-ÖØ-ÞŒŠŽŸ"
_LETTER = f"{_SMALL}{_CAPITAL}"
_IMPLAUSIBLE = re.compile(
    rf"[^\x00-\x7f{_LETTER}’‘“”„–—…«»·€\u00a0ªº]"
    rf"|[{_SMALL}][À-ÖØ-ÞŒŠŽŸ]|[{_LETTER}][‘“„«»€…–—·ªº][{_LETTER}]|[{_LETTER}][‘“„](?![{_LETTER}])"
    rf"|(?:(?![a-zA-Z])[{_LETTER}]){{3}}"
)
_BEYOND_ASCII = re.compile(r"[^\s,;\t|\"]*[^\x00-\x7f][^\s,;\t|\"]*")


class Decoded(NamedTuple):
    """A file's text, or what is wrong with it; and how its letters were read, where that is worth a look."""

    text: str = ""
    complaint: str = ""
    note: str = ""


def decode(content: bytes) -> Decoded:
    """Read a file's letters, or say what is wrong with them and what to do."""
    if len(content) > MAX_BYTES:
        return _no(f"The file has {len(content):,} bytes, and {MAX_BYTES:,} are taken at once. Split it. Nothing was read.")
    for start, what in _OTHERS:
        if content.startswith(start):
            return _no(f"{what} {_SAVE}")
    if b"\x00" in content:
        is_wide = content[1::2].count(0) * 3 > len(content) or content[::2].count(0) * 3 > len(content)
        what = "The file’s letters are UTF-16." if is_wide else "The file holds zero bytes, which no text does."
        return _no(f"{what} {_SAVE}")
    try:
        return Decoded(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return _windows(content) or _no(_untold(content, error.start))


def _windows(content: bytes) -> Decoded | None:
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        return None
    if _IMPLAUSIBLE.search(text):
        return None
    words = list(dict.fromkeys(_BEYOND_ASCII.findall(text)))
    more = f" and {len(words) - MAX_EXAMPLES} more" if len(words) > MAX_EXAMPLES else ""
    examples = f"{', '.join(word[:40] for word in words[:MAX_EXAMPLES])}{more}"
    note = f"The file’s letters were read as Windows-1252, as Excel’s plain CSV has them: {examples}. If that is not how they are"
    return Decoded(text, note=f"{note} written, save it as “CSV UTF-8” instead.")


def _untold(content: bytes, at: int) -> str:
    line = content.count(b"\n", 0, at) + 1
    return (
        f"Line {line} holds the byte 0x{content[at]:02X}, which is not UTF-8, and in Windows-1252 the letters would make no sense. "
        f"{_SAVE}"
    )


def _no(complaint: str) -> Decoded:
    return Decoded(complaint=complaint)

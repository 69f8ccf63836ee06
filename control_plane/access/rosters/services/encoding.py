"""Character encoding of a file: UTF-8, with or without a byte order mark, or Windows-1252, as Excel's plain CSV has it.

Anything else is refused with a message that tells what it seems to be.
"""

import re
from typing import NamedTuple

_SAVE = "Save it as “CSV UTF-8” and try again. Nothing was read."
# File signatures; those of UTF-32 before those of UTF-16, which they begin with.
_SIGNATURES = (
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
# Text that is implausible in a roster in Windows-1252, which has Latin letters, and punctuation where a text has it. In other
# encodings the same bytes give symbols within words, capitals after small letters, or words without any ASCII letter.
_SMALL, _CAPITAL = "a-zß-öø-ÿœšžƒ", "A-ZÀ-ÖØ-ÞŒŠŽŸ"
_LETTER = f"{_SMALL}{_CAPITAL}"
_IMPLAUSIBLE = re.compile(
    rf"[^\x00-\x7f{_LETTER}’‘“”„–—…«»·€\u00a0ªº]"
    rf"|[{_SMALL}][À-ÖØ-ÞŒŠŽŸ]|[{_LETTER}][‘“„«»€…–—·ªº][{_LETTER}]|[{_LETTER}][‘“„](?![{_LETTER}])"
    rf"|(?:(?![a-zA-Z])[{_LETTER}]){{3}}"
)
_BEYOND_ASCII = re.compile(r"[^\s,;\t|\"]*[^\x00-\x7f][^\s,;\t|\"]*")


class Decoded(NamedTuple):
    """Text of a file, or a complaint; and a note on the encoding, where that should be checked."""

    text: str = ""
    complaint: str = ""
    note: str = ""


def decode(content: bytes) -> Decoded:
    """Decode a file; the complaint tells what is wrong with it and what to do."""
    if len(content) > MAX_BYTES:
        return _refused(f"The file has {len(content):,} bytes, and {MAX_BYTES:,} are taken at once. Split it. Nothing was read.")
    for start, complaint in _SIGNATURES:
        if content.startswith(start):
            return _refused(f"{complaint} {_SAVE}")
    if b"\x00" in content:
        is_wide = content[1::2].count(0) * 3 > len(content) or content[::2].count(0) * 3 > len(content)
        complaint = "The file’s letters are UTF-16." if is_wide else "The file holds zero bytes, which no text does."
        return _refused(f"{complaint} {_SAVE}")
    try:
        return Decoded(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return _decode_windows(content) or _refused(_undecodable(content, error.start))


def _decode_windows(content: bytes) -> Decoded | None:
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


def _undecodable(content: bytes, offset: int) -> str:
    line = content.count(b"\n", 0, offset) + 1
    return (
        f"Line {line} holds the byte 0x{content[offset]:02X}, which is not UTF-8, and in Windows-1252 the letters would make no "
        f"sense. {_SAVE}"
    )


def _refused(complaint: str) -> Decoded:
    return Decoded(complaint=complaint)

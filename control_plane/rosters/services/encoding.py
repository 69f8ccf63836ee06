"""A file's letters: UTF-8, with or without a mark before it. For anything else it is said what it seems to be."""

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
MOST_BYTES = 2_000_000


def decode(content: bytes) -> tuple[str, str]:
    """The file's text, and, where it has none for us, what is wrong with it and what to do."""
    if len(content) > MOST_BYTES:
        return "", f"The file has {len(content):,} bytes, and {MOST_BYTES:,} are taken at once. Split it. Nothing was read."
    for start, what in _OTHERS:
        if content.startswith(start):
            return "", f"{what} {_SAVE}"
    if b"\x00" in content:
        is_wide = content[1::2].count(0) * 3 > len(content) or content[::2].count(0) * 3 > len(content)
        what = "The file’s letters are UTF-16." if is_wide else "The file holds zero bytes, which no text does."
        return "", f"{what} {_SAVE}"
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"Line {line} holds the byte 0x{content[error.start]:02X}, which is not UTF-8: the letters seem to be Latin-1."
        return "", f"{what} {_SAVE}"

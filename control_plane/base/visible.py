"""Text from people and S3 with invisible characters made visible, so that none of them reorders or hides a part of a line.

The pages' JavaScript has the same in `control_plane/static/cohort/visible.js`.
"""

import regex

# Control, format (with the bidirectional ones), surrogate and private-use characters, and those that Unicode calls
# default-ignorable: joiners, fillers, variation selectors. The empty Braille cell is drawn as a blank.
UNSEEN = regex.compile(r"[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2800]")


def visible(text: str) -> str:
    r"""Return the text with each invisible character as its escape: `\u202e`, `\u{e0001}`."""
    return str(UNSEEN.sub(lambda match: escaped(match[0]), text))


def escaped(character: str) -> str:
    """Return a character's escape sequence."""
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\u{{{number:x}}}"

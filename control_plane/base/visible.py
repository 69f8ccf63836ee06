"""Text of people and of S3 with what cannot be seen made visible: what reorders a line, or hides in it, passes for nothing else.

The pages' JavaScript has the same in `control_plane/static/cohort/visible.js`.
"""

import regex

# Controls, formats (the bidirectional ones among them), halves and private characters, and what Unicode itself says is not
# drawn: joiners, fillers, selectors of variants. The empty Braille cell is drawn as a blank.
UNSEEN = regex.compile(r"[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2800]")


def visible(text: str) -> str:
    r"""Return the text with each character that cannot be seen as its number: `\u202e`, `\u{e0001}`."""
    return str(UNSEEN.sub(lambda found: escaped(found[0]), text))


def escaped(character: str) -> str:
    """Return a character's number, as programs write it."""
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\u{{{number:x}}}"

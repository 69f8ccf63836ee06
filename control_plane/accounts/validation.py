"""Which addresses and names are taken: readable ones, without characters that pass for others.

A name is kept in Unicode's composed form (NFC), so that one that a Mac wrote is the same as one that was typed. Marks, digits
and signs are of no script (UTS 24 calls them inherited and common), and words of several scripts may stand beside each other, as
people write who have a name in each. What is refused is one word of Latin letters with others that pass for them.
"""

import unicodedata

import regex
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from control_plane.accounts.confusables import skeleton
from control_plane.base.visible import UNSEEN, escaped

# RFC 5321, 4.5.3.1.3 (a path, with its brackets, has 256).
LONGEST_ADDRESS = 254
_email = EmailValidator()

_WORD = regex.compile(r"[\p{L}\p{M}\p{N}'’·]+")
_LATIN = regex.compile(r"\p{Script=Latin}")
# Of no script, or of one that stands within Latin words by custom: the Chinese zero, which looks like O, is in years.
_HARMLESS = regex.compile(r"[\p{Script=Common}\p{Script=Inherited}\p{Script=Unknown}\p{Script=Latin}\p{Script=Han}]")
# Of these each letter is taken for one that may pass for a Latin one; of all others, those that Unicode says do.
_CYRILLIC, _GREEK = regex.compile(r"\p{Script=Cyrillic}"), regex.compile(r"\p{Script=Greek}")


def validate_email(address: str) -> None:
    """Refuse an address that is malformed, or holds letters beyond ASCII (many of which look like ASCII ones)."""
    for character in address:
        if not character.isascii():
            raise ValidationError(
                f"The e-mail address {address!r} holds {_describe(character)}. Use the address's plain letters.", code="look_alike"
            )
    if len(address) > LONGEST_ADDRESS:
        raise ValidationError(f"An e-mail address has at most {LONGEST_ADDRESS} characters.", code="too_long")
    try:
        _email(address)
    except ValidationError as error:
        raise ValidationError(f"{address!r} is not an e-mail address such as ada@example.org.", code="invalid") from error


def validate_name(name: str) -> None:
    """Refuse a name of a group or an analysis with invisible characters, or a word that mixes scripts to look like another.

    Greek beside Latin is taken, as science writes it (β2AR); whether it looks like an existing name, the services ask.
    """
    _check_seen(name)
    _check_words(name, takes_greek=True)


def validate_person_name(name: str) -> None:
    """Refuse a person's name with invisible characters, or a word of Latin with Cyrillic, Greek or other look-alike letters."""
    _check_seen(name)
    _check_words(name, takes_greek=False)


def tidy_name(name: str) -> str:
    """Return a name as it is kept: composed (NFC), with one space between its words and none around them."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def fold_name(name: str) -> str:
    """A name as people compare it: compatibility forms, case and runs of white space do not count."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _check_seen(name: str) -> None:
    if found := UNSEEN.search(name):
        raise ValidationError(f"The name holds {_describe(found[0])}, which cannot be seen. Remove it.", code="invisible")


def _check_words(name: str, *, takes_greek: bool) -> None:
    for word in _WORD.findall(unicodedata.normalize("NFC", name)):
        if _LATIN.search(word) and any(_passes_for_latin(letter, takes_greek) for letter in word):
            raise ValidationError(
                f"The word {word!r} mixes letters of several scripts that look alike. Write each word in one script.",
                code="look_alike",
            )


def _passes_for_latin(letter: str, takes_greek: bool) -> bool:
    if _HARMLESS.match(letter):
        return False
    if _GREEK.match(letter):
        return not takes_greek
    return bool(_CYRILLIC.match(letter) or _LATIN.match(skeleton(letter)))


def _describe(character: str) -> str:
    shown = escaped(character) if UNSEEN.match(character) else repr(character)
    return f"{shown} (U+{ord(character):04X} {unicodedata.name(character, 'unnamed')})"

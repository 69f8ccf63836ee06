"""Validation of addresses and names: readable, without characters that imitate others.

A name is stored in Unicode's composed form (NFC), so that one from macOS is equal to one that was typed. Marks, digits and signs
belong to no script (UTS 24 calls them inherited and common), and words of several scripts may stand beside each other, for people
with a name in each. Refused is a single word that mixes Latin letters with others that look like them.
"""

import unicodedata

import regex
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from control_plane.accounts.confusables import skeleton
from control_plane.base.visible import UNSEEN, escaped

# RFC 5321, 4.5.3.1.3 (a path, with its brackets, has 256).
MAX_ADDRESS_CHARACTERS = 254
_email = EmailValidator()

_WORD = regex.compile(r"[\p{L}\p{M}\p{N}'’·]+")
_LATIN = regex.compile(r"\p{Script=Latin}")
# Of no script, or of one that is customary within Latin words: the Chinese zero, which looks like O, is used in years.
_HARMLESS = regex.compile(r"[\p{Script=Common}\p{Script=Inherited}\p{Script=Unknown}\p{Script=Latin}\p{Script=Han}]")
# All letters of these count as look-alikes of Latin ones; of other scripts, those that Unicode lists.
_CYRILLIC, _GREEK = regex.compile(r"\p{Script=Cyrillic}"), regex.compile(r"\p{Script=Greek}")


def validate_email(address: str) -> None:
    """Raise ValidationError for an address that is malformed, or holds non-ASCII letters (many of which look like ASCII ones)."""
    for character in address:
        if not character.isascii():
            raise ValidationError(
                f"The e-mail address {address!r} holds {_describe(character)}. Use the address's plain letters.", code="look_alike"
            )
    if len(address) > MAX_ADDRESS_CHARACTERS:
        raise ValidationError(f"An e-mail address has at most {MAX_ADDRESS_CHARACTERS} characters.", code="too_long")
    try:
        _email(address)
    except ValidationError as error:
        raise ValidationError(f"{address!r} is not an e-mail address such as ada@example.org.", code="invalid") from error


def validate_name(name: str) -> None:
    """Raise ValidationError for a name of a group or analysis with invisible characters, or with look-alike letters in a word.

    Greek beside Latin is allowed, as science writes it (β2AR); the services check whether the name looks like an existing one.
    """
    _check_visible(name)
    _check_words(name, takes_greek=True)


def validate_person_name(name: str) -> None:
    """Raise ValidationError for a person's name with invisible characters, or with look-alike letters in a Latin word.

    Unlike in names of groups, Greek letters count as look-alikes too.
    """
    _check_visible(name)
    _check_words(name, takes_greek=False)


def tidy_name(name: str) -> str:
    """Return a name as it is stored: composed (NFC), with single spaces between words and none around them."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def fold_name(name: str) -> str:
    """Return a name for comparison: compatibility forms, case and runs of white space do not count."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _check_visible(name: str) -> None:
    if match := UNSEEN.search(name):
        raise ValidationError(f"The name holds {_describe(match[0])}, which cannot be seen. Remove it.", code="invisible")


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

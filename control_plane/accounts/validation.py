"""Which addresses and names are taken: readable ones, without characters that pass for others."""

import unicodedata

from confusable_homoglyphs import confusables
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

# RFC 5321, 4.5.3.1.3 (a path, with its brackets, has 256).
LONGEST_ADDRESS = 254
_email = EmailValidator()


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
    """Refuse a display name with control or direction characters, or one that mixes scripts to look like another."""
    for character in name:
        if unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}:
            raise ValidationError(f"The name holds {_describe(character)}, which cannot be seen. Remove it.", code="invisible")
    if confusables.is_dangerous(name):
        raise ValidationError(
            f"The name {name!r} mixes letters of several scripts that look alike. Write it in one script.", code="look_alike"
        )


def fold_name(name: str) -> str:
    """A name as people compare it: compatibility forms, case and runs of white space do not count."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _describe(character: str) -> str:
    return f"{character!r} (U+{ord(character):04X} {unicodedata.name(character, 'unnamed')})"

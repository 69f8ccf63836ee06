"""Slugs made from names. A slug names a group on AWS and can never change, so nothing goes into it that may."""

import re
import unicodedata

from stacks import names

# An address, also one that the predecessor wrote something after: `ada@example.orggroup`.
_ADDRESS = re.compile(r"<?([^\s<>@]+)@[^\s<>@]+>?")


def make_slug(name: str) -> str:
    """Return the slug for a group's name; empty where the name has too few ASCII letters.

    An address in it is left out, or, where nothing else remains, cut to the part before the @: people change providers.
    """
    beside = _ADDRESS.sub(" ", name)
    slug = _slug_of(beside) or _slug_of(_ADDRESS.sub(r"\1", name))
    if slug and (len(slug) < names.SLUG.shortest or slug in names.RESERVED_SLUGS):
        slug = f"{slug[: names.SLUG.longest - 4]}-lab"
    return slug


def _slug_of(text: str) -> str:
    # A letter of another script separates words, as punctuation does; an accent does not, though NFD makes it a character.
    letters = unicodedata.normalize("NFC", text)
    parted = "".join(
        " " if not letter.isascii() and not unicodedata.normalize("NFKD", letter)[0].isascii() else letter for letter in letters
    )
    plain = unicodedata.normalize("NFKD", parted).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[: names.SLUG.longest].rstrip("-")

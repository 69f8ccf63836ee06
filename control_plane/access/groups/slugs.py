"""Slugs made of names. A slug names a group on AWS and can never change, so nothing goes into it that may."""

import re
import unicodedata

from stacks.manifest import names

# An address, also one that the predecessor wrote something after: `ada@example.orggroup`.
_ADDRESS = re.compile(r"<?([^\s<>@]+)@[^\s<>@]+>?")


def make_slug(name: str) -> str:
    """Return the slug that a group's name makes; empty where the name has too few plain letters.

    Of an address in it nothing is left but the person's name, and that only where there is no other: people change providers.
    """
    beside = _ADDRESS.sub(" ", name)
    slug = _slug_of(beside) or _slug_of(_ADDRESS.sub(r"\1", name))
    if slug and (len(slug) < names.SLUG.shortest or slug in names.RESERVED_SLUGS):
        slug = f"{slug[: names.SLUG.longest - 4]}-lab"
    return slug


def _slug_of(text: str) -> str:
    # A letter of another script parts words, as a sign does; an accent does not, though decomposed it is a character of its own.
    letters = unicodedata.normalize("NFC", text)
    parted = "".join(" " if not one.isascii() and not unicodedata.normalize("NFKD", one)[0].isascii() else one for one in letters)
    plain = unicodedata.normalize("NFKD", parted).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[: names.SLUG.longest].rstrip("-")

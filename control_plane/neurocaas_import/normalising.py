"""Normalisation of a profile's texts: slugs, names, buckets and addresses. Without database queries.

Rules:
- A group's name is its AffiliateName, without invisible characters, white space around it, or more than 120
  characters. One that mixes scripts to look like another is refused: `--group NAME=slug` gives it a slug, and that as its name.
- A slug is the name in small letters without accents, every run of other characters one hyphen, cut to 32. One of a single
  letter, and a reserved word, gets `-lab` after it. Nothing left (a name in another script): refused, `--group` helps. Of an
  address its provider is left out, and all of it where a name stands beside it (`groups.slugs`).
- Where a list is expected, a text that holds one is taken apart (JSON, a Python literal, commas); a single one is a list of one.
- A bucket is written small, without `s3://`, slashes and white space around it.
- An address may stand as `Name <address>` or `mailto:address`, with white space or a comma around it, and in capitals.
- Ten or thirteen digits at the end of a user name are the time (since 1970) that the predecessor put there.
- The template that nobody filled in is known by its own words.
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError

from control_plane.accounts.validation import MAX_ADDRESS_CHARACTERS, fold_name, tidy_name, validate_email, validate_name
from control_plane.base.visible import UNSEEN
from control_plane.neurocaas_import.entries import Entry, kind_of, shown
from stacks import names

MAX_NAME_CHARACTERS, MAX_FOLDED_CHARACTERS = 120, 240
# A longer text is no list of names.
MAX_TEXT_CHARACTERS = 100_000
_TIMESTAMP = re.compile(r"(.*[^0-9])(1[0-9]{9})(?:[0-9]{3})?", re.DOTALL)
_TEMPLATE_NAME = "affiliate's name here"
_TEMPLATE_USERS = ["list", "of", "strings describing user names"]


def is_template(fields: dict[str, Any]) -> bool:
    """Check whether an affiliate is the predecessor's template that was never filled in."""
    name = fields.get("AffiliateName")
    return (isinstance(name, str) and name.strip().casefold().startswith(_TEMPLATE_NAME)) or fields.get(
        "UserNames"
    ) == _TEMPLATE_USERS


def text_of(raw: Any, what: str, entry: Entry) -> str | None:
    """Return a text, or an integer as one; otherwise refuse the entry and return None."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        entry.mend(f"The {what} is a number; its digits were taken.")
        return str(raw)
    if not isinstance(raw, str):
        entry.refuse(f"The {what} is {kind_of(raw)}, not a text. Write it there as a text.")
        return None
    return raw


def clean_text(text: str) -> str:
    """Return the text without invisible characters and white space around it; runs of white space become one space."""
    seen = UNSEEN.sub(lambda match: " " if match[0].isspace() else "", text)
    return " ".join(seen.split())


def group_name(raw: Any, entry: Entry) -> str | None:
    """Return the group's name; None if the entry is refused."""
    text = text_of(raw, "AffiliateName", entry)
    if text is None:
        return None
    name = tidy_name(clean_text(text[: MAX_NAME_CHARACTERS * 4]))
    if not name:
        entry.refuse("The AffiliateName is empty. Write one there, then run this again.")
        return None
    if name != unicodedata.normalize("NFC", text):
        entry.mend("White space or characters that cannot be seen were left out of the name.")
    if len(name) > MAX_NAME_CHARACTERS or len(fold_name(name)) > MAX_FOLDED_CHARACTERS:
        name = name[:MAX_NAME_CHARACTERS].rstrip()
        while len(fold_name(name)) > MAX_FOLDED_CHARACTERS:
            name = name[:-1].rstrip()
        entry.mend(f"The name was cut to {len(name)} characters.")
    return name


def is_readable(name: str) -> bool:
    """Check whether a group may have this name."""
    try:
        validate_name(name)
    except ValidationError:
        return False
    return True


def with_number(slug: str, number: int) -> str:
    """Return the slug with a number after it, cut to the length of a slug."""
    ending = f"-{number}"
    return slug[: names.SLUG.longest - len(ending)].rstrip("-") + ending


def items_of(raw: Any, *, by_space: bool = False) -> tuple[list[Any], str]:
    """Return the items of a list, or of a text that stands for one, and a note if it was not a list."""
    if raw is None:
        return [], ""
    if isinstance(raw, list):
        return raw, ""
    if not isinstance(raw, str) or len(raw) > MAX_TEXT_CHARACTERS:
        return [raw], "a single value was taken as a list of one"
    text = raw.strip()
    separators = r"[,;\s]+" if by_space else r"[,;\n]+"
    if text[:1] in ("[", "(", "{") or re.search(separators, text):
        bare = [part.strip().strip("[](){}").strip() for part in re.split(separators, text)]
        parts = [re.sub(r"""^[ub]?(["'])(.*)\1$""", r"\2", part, flags=re.DOTALL).strip() for part in bare]
        return [part for part in parts if part], "a text was taken apart into its items"
    return ([text], "a single text was taken as a list of one") if text else ([], "")


def bucket_of(raw: Any, entry: Entry) -> str | None:
    """Return the bucket that a pipeline names; None if the entry is refused."""
    text = text_of(raw, "pipeline's name", entry)
    if text is None:
        return None
    bucket = clean_text(text[:400]).removeprefix("s3://").strip("/ ").lower()
    if not bucket:
        entry.refuse("The pipeline's name is empty. Take it out there.")
        return None
    if bucket != text:
        entry.mend(f"It was read as the bucket {shown(bucket)}.")
    return bucket


def address_of(raw: Any) -> tuple[str | None, str]:
    """Return the address in a value, and a note if it was changed; or None, and what is wrong with it."""
    if not isinstance(raw, str):
        return None, f"The address is {kind_of(raw)}"
    if len(raw) > MAX_ADDRESS_CHARACTERS * 2:
        return None, "The address is too long"
    text = clean_text(raw)
    if match := re.search(r"<([^<>]+)>$", text):
        text = match[1]
    text = text.strip(" ,;").lower().removeprefix("mailto:").strip()
    if not text:
        return None, "The address is empty"
    try:
        validate_email(text)
    except ValidationError:
        return None, f"“{shown(raw)}” is no e-mail address such as ada@example.org in plain letters"
    return text, f"the address stood there as “{shown(raw)}”" if text != raw else ""


def strip_timestamp(name: str) -> tuple[str, str]:
    """Return a user name without the timestamp that the predecessor appended, and the day of the timestamp; '' without one."""
    match = _TIMESTAMP.fullmatch(name[:400])
    if not match:
        return name, ""
    return match[1], f"{datetime.fromtimestamp(int(match[2]), UTC):%Y-%m-%d}"

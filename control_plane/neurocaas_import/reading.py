"""Reading of the predecessor's profiles from the disk, robust against any content.

Rules:
- A folder holds `user_config_template.json`; its name is the predecessor's stack. If it does not, but folders in it do, those
  are read. A file may be given instead of its folder. The same file given twice is read once.
- A link that was given is followed. A profile that is a link out of its folder is refused: nobody named what lies there.
- Only plain files of at most 10 MB are opened (no pipe or device). What cannot be read is refused with the system's reason.
- UTF-8; a byte order mark is left out, and UTF-16 with one is read. Anything else is refused rather than guessed: names would
  come out wrong.
- JSON as Python reads it, as the predecessor did: of a key given twice the last counts, which is said; NaN and infinities count
  as nothing; control characters in texts are let through here, for the names to be mended. Broken or too deep JSON is refused.
"""

import codecs
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control_plane.base.sizes import format_size
from control_plane.neurocaas_import.entries import Entry, shown

FILE_NAME = "user_config_template.json"
MAX_BYTES = 10_000_000
# Python refuses much longer integers; profiles contain none of this length.
MAX_DIGITS = 18
MAX_NAMED = 5
MAX_PATH_CHARACTERS = 300


@dataclass
class Profile:
    """A profile's file, or what was found in its place. `document` is None if it is refused."""

    path: str
    stack: str
    entry: Entry
    document: Any = None


@dataclass(frozen=True)
class _ProfileFile:
    """A file that a path stands for, with a note or the reason for its refusal."""

    path: Path
    is_named: bool = False
    note: str = ""
    refusal: str = ""


def read_profiles(paths: Sequence[str]) -> list[Profile]:
    """Return every profile at these paths, in their order, each read or refused."""
    profiles, seen = [], set[str]()
    for profile_file in (profile_file for given in paths for profile_file in _profile_files(Path(given))):
        stack = shown(profile_file.path.absolute().parent.name or "/")
        profile = Profile(shown(str(profile_file.path), MAX_PATH_CHARACTERS), stack, Entry("profile", stack))
        profiles.append(profile)
        if profile_file.note:
            profile.entry.mend(profile_file.note)
        real = os.path.realpath(profile_file.path) if not profile_file.refusal else ""
        if profile_file.refusal:
            profile.entry.refuse(profile_file.refusal)
        elif real in seen:
            profile.entry.refuse("This file was given before, under this or another name; it is read once.")
        else:
            _read_file(profile_file, profile)
            if not profile.entry.is_refused:
                seen.add(real)
    return profiles


def parse(data: bytes, entry: Entry) -> Any:
    """Return the document in a file's bytes; None if it is refused in the entry."""
    text = _decode(data, entry)
    if text is None:
        return None
    if not text.strip("\0 \t\r\n"):
        entry.refuse("The file is empty.")
        return None
    doubled: list[str] = []
    odd: list[str] = []
    try:
        document = json.loads(
            text,
            strict=False,
            object_pairs_hook=lambda pairs: _mapping(pairs, doubled),
            parse_constant=lambda word: odd.append(word),
            parse_int=lambda digits: int(digits) if len(digits) <= MAX_DIGITS else digits,
        )
    except RecursionError:
        entry.refuse("The file nests lists or mappings too deeply to be a profile. Write it anew, as a profile that is read.")
        return None
    except ValueError as error:
        entry.refuse(_describe_json_error(text, error))
        return None
    if doubled:
        entry.mend(f"Keys given more than once, of which the last counts: {_list_some(doubled)}.")
    if odd:
        entry.mend(f"{_list_some(odd)} counts as nothing.")
    if document is None:
        entry.refuse("The file holds nothing but null.")
    return document


def _profile_files(given: Path) -> Iterator[_ProfileFile]:
    try:
        mode = given.stat().st_mode
        if stat.S_ISDIR(mode):
            yield from _in_folder(given)
        elif stat.S_ISREG(mode):
            yield _ProfileFile(
                given, is_named=True, note="" if given.name == FILE_NAME else f"A file of another name than {FILE_NAME} was given."
            )
        else:
            yield _ProfileFile(given, refusal=f"This is neither a folder nor a plain file. Give the folder that holds {FILE_NAME}.")
    except (OSError, ValueError) as error:
        yield _ProfileFile(given, refusal=f"{_reason(error)}. Give the folder that holds {FILE_NAME}.")


def _in_folder(folder: Path) -> Iterator[_ProfileFile]:
    direct = folder / FILE_NAME
    if _is_there(direct):
        yield _ProfileFile(direct)
        return
    inner = [inner / FILE_NAME for inner in sorted(folder.iterdir()) if inner.is_dir()]
    files = [path for path in inner if _is_there(path)]
    yield from map(_ProfileFile, files)
    if not files:
        refusal = f"There is no {FILE_NAME} in this folder, nor in a folder within it. Give the folder that holds it."
        yield _ProfileFile(direct, refusal=refusal)


def _read_file(profile_file: _ProfileFile, profile: Profile) -> None:
    path = profile_file.path
    try:
        if not profile_file.is_named and path.is_symlink() and not _stays_inside(path):
            profile.entry.refuse("The file is a link out of its folder. Give what it points to, if that is meant.")
            return
        if not stat.S_ISREG(path.stat().st_mode):
            profile.entry.refuse(f"{FILE_NAME} is not a plain file. Give the folder that holds it.")
            return
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:
        profile.entry.refuse(f"{_reason(error)}. See to it that the file can be read, then run this again.")
        return
    if len(data) > MAX_BYTES:
        profile.entry.refuse(f"The file has more than {format_size(MAX_BYTES)}, which no profile has. Give the right one.")
        return
    profile.document = parse(data, profile.entry)


def _decode(data: bytes, entry: Entry) -> str | None:
    encoding = "utf-8"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        entry.mend("The file is UTF-16; it was read as that.")
        encoding = "utf-16"
    elif data.startswith(codecs.BOM_UTF8):
        entry.mend("A byte order mark at the beginning was left out.")
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        entry.refuse(
            f"Byte {error.start} is not {encoding.removesuffix('-sig').upper()}: the file is in another encoding, or is not text. "
            "If it is Latin-1, convert it (iconv -f LATIN1 -t UTF-8), and look at the names before you run this again."
        )
        return None


def _describe_json_error(text: str, error: ValueError) -> str:
    where = f" in line {error.lineno}, column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
    cut = " It holds null bytes, as a file does that was cut off or is not text." if "\0" in text else ""
    return f"The file is not JSON{where}.{cut} Correct it there, then run this again."


def _mapping(pairs: list[tuple[str, Any]], doubled: list[str]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        seen = set[str]()
        for key, _ in pairs:
            if key in seen:
                doubled.append(key)
            seen.add(key)
    return mapping


def _list_some(words: Sequence[str]) -> str:
    different = list(dict.fromkeys(shown(word, 40) for word in words))
    more = f" and {len(different) - MAX_NAMED} more" if len(different) > MAX_NAMED else ""
    return ", ".join(different[:MAX_NAMED]) + more


def _is_there(path: Path) -> bool:
    """Check whether the path exists, also as a broken link."""
    return path.is_symlink() or path.exists()


def _stays_inside(path: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(path.parent))


def _reason(error: Exception) -> str:
    return error.strerror or "It cannot be read" if isinstance(error, OSError) else "This is no path of a file"

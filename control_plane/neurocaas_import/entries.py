"""Entries of the import's report: the fate of each item of a profile, with notes on changes and on what to do."""

from dataclasses import dataclass, field
from enum import StrEnum

from control_plane.base.errors import Refused
from control_plane.base.visible import visible

MAX_SHOWN_CHARACTERS = 100


class ImportRefused(Refused):
    """An option of the import is invalid. Nothing was read or changed."""


class Fate(StrEnum):
    """Fate of an entry."""

    TAKEN = "taken"
    MENDED = "mended"
    THERE = "there already"
    REFUSED = "refused"


@dataclass
class Entry:
    """A profile, or a group, person, analysis or address in one. Its fate is TAKEN until one of the methods changes it."""

    kind: str
    name: str
    fate: Fate = Fate.TAKEN
    becomes: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def is_refused(self) -> bool:
        """True if it is not imported."""
        return self.fate == Fate.REFUSED

    def add_note(self, note: str) -> None:
        """Add a note that does not change its fate."""
        if note not in self.notes:
            self.notes.append(note)

    def mend(self, how: str) -> None:
        """Note that it is imported in a changed form."""
        self.add_note(how)
        if self.fate == Fate.TAKEN:
            self.fate = Fate.MENDED

    def refuse(self, why: str) -> None:
        """Note that it is not imported, and why."""
        self.add_note(why)
        self.fate, self.becomes = Fate.REFUSED, ""

    def mark_present(self) -> None:
        """Note that it exists already. Notes on changes stay."""
        self.fate = Fate.THERE


def shown(value: object, max_characters: int = MAX_SHOWN_CHARACTERS) -> str:
    """Return any value as one short printable line, with invisible characters escaped."""
    text = value if isinstance(value, str) else kind_of(value)
    line = visible(text[:max_characters])
    return line + "…" if len(text) > max_characters else line


def kind_of(value: object) -> str:
    """Return a JSON value's type in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "text"

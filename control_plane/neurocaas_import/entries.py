"""What a report says of one thing in a profile: whether it is taken, and what was done to it or is to be done about it."""

from dataclasses import dataclass, field
from enum import StrEnum

from control_plane.base.errors import Refused
from control_plane.base.visible import visible

MAX_SHOWN = 100


class ImportRefused(Refused):
    """An option of the import that makes no sense. Nothing was read or changed."""


class Fate(StrEnum):
    """What becomes of an entry."""

    TAKEN = "taken"
    MENDED = "mended"
    THERE = "there already"
    REFUSED = "refused"


@dataclass
class Entry:
    """A profile, or a group, person, analysis or address in one. It is taken as it is unless somebody says otherwise."""

    kind: str
    name: str
    fate: Fate = Fate.TAKEN
    becomes: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def is_refused(self) -> bool:
        """Whether nothing is done with it."""
        return self.fate == Fate.REFUSED

    def say(self, note: str) -> None:
        """Note something that changes nothing about it."""
        if note not in self.notes:
            self.notes.append(note)

    def mend(self, how: str) -> None:
        """It is taken, but not as it stands."""
        self.say(how)
        if self.fate == Fate.TAKEN:
            self.fate = Fate.MENDED

    def refuse(self, why: str) -> None:
        """It is not taken."""
        self.say(why)
        self.fate, self.becomes = Fate.REFUSED, ""

    def found(self) -> None:
        """It needs no doing. How it was mended then stays said."""
        self.fate = Fate.THERE


def shown(value: object, most: int = MAX_SHOWN) -> str:
    """Anything as one short line of text that every terminal, file and database takes, and that people can act on."""
    text = value if isinstance(value, str) else kind_of(value)
    line = visible(text[:most])
    return line + "…" if len(text) > most else line


def kind_of(value: object) -> str:
    """What JSON calls it, in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "text"

"""What a run has begun on AWS, written down before it is made: what a crash, a power cut or Ctrl-C leaves can be removed by it."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

Kind = Literal["stack", "group", "bucket", "operator", "host"]
KINDS: tuple[Kind, ...] = ("stack", "group", "bucket", "operator", "host")


class Damaged(RuntimeError):
    """The journal cannot be read: somebody has to look. The message says which line."""


@dataclass(frozen=True)
class Entry:
    """One thing that was begun: what it is, and its name on AWS."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class Header:
    """Which account a run works in, and since when."""

    account: str
    region: str
    run: str
    began: str


class Journal:
    """A file of one JSON document a line, each on the disk before what it names is asked of AWS."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: Header | None = None
        self._begun: dict[Entry, None] = {}
        for number, line in enumerate(self._lines(), start=1):
            self._take(line, number)

    def begin(self, account: str, region: str, run: str) -> None:
        """Open it for a run. Raises RuntimeError while what an earlier run made may still be there."""
        if self.header is not None:
            raise RuntimeError(f"{self.path} names a run that was not removed. Nothing was begun.")
        self.header = Header(account, region, run, datetime.now(UTC).isoformat(timespec="seconds"))
        self._write({"begins": asdict(self.header)})

    def add(self, kind: Kind, name: str) -> None:
        """Write down that this is about to be made. Again is no harm."""
        entry = Entry(kind, name)
        if entry not in self._begun:
            self._begun[entry] = None
            self._write({"made": asdict(entry)})

    def removed(self, entry: Entry) -> None:
        """Write down that AWS does not have it any more."""
        if self._begun.pop(entry, entry) is None:
            self._write({"removed": asdict(entry)})

    def begun(self, kind: Kind | None = None) -> list[Entry]:
        """What may still be there, of this kind or all, oldest first."""
        return [entry for entry in self._begun if kind in (None, entry.kind)]

    def close(self) -> None:
        """End it: nothing is left that it names."""
        if self._begun:
            raise RuntimeError(f"{self.path} names {len(self._begun)} things that were not removed. It is kept.")
        self.header = None
        self.path.unlink(missing_ok=True)

    def _lines(self) -> list[str]:
        """What the file holds. A last line that was cut off is dropped: what it named was not asked of AWS yet."""
        if not self.path.exists():
            return []
        text = self.path.read_text()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self.path.write_text(whole)
        return whole.splitlines()

    def _take(self, line: str, number: int) -> None:
        try:
            [(name, value)] = json.loads(line).items()
            if name == "begins":
                self.header = Header(**value)
            elif name == "made":
                self._begun[Entry(**value)] = None
            else:
                self._begun.pop(Entry(**value), None)
        except (ValueError, AttributeError, TypeError) as error:
            said = f"Line {number} of {self.path} cannot be read. Look at what it may have named, then correct it."
            raise Damaged(said) from error

    def _write(self, document: dict[str, dict[str, str]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(document) + "\n")
            file.flush()
            os.fsync(file.fileno())

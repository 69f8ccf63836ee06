"""Address book of an import: a CSV file with the columns username and email, and optionally affiliate."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from control_plane.access.rosters.services.encoding import MAX_BYTES, decode
from control_plane.access.rosters.services.read import split_lines
from control_plane.accounts.validation import fold_name
from control_plane.base.csv_cells import read_cell
from control_plane.neurocaas_import.entries import ImportRefused, shown
from control_plane.neurocaas_import.normalising import address_of, strip_timestamp

COLUMNS = ("username", "email", "affiliate")


@dataclass
class AddressBook:
    """Addresses by affiliate (empty for all) and user name."""

    addresses: dict[tuple[str, str], str] = field(default_factory=dict)

    def find(self, affiliate: str, username: str) -> str | None:
        """Return the address of a user name with or without its timestamp; the affiliate's own entries come before those of all."""
        for place in (fold_name(affiliate), ""):
            for name in (username, strip_timestamp(username)[0]):
                if address := self.addresses.get((place, name.strip())):
                    return address
        return None


def read_address_book(path: str) -> AddressBook:
    """Read the addresses from a CSV file. Raises ImportRefused, which names an invalid line."""
    book = AddressBook()
    try:
        separator, numbered = split_lines(_text(path), lambda cell: _column(cell) in COLUMNS)
        lines = csv.DictReader([line for _, line in numbered], delimiter=separator, strict=True)
        columns = {_column(name or ""): name for name in lines.fieldnames or []}
        if not {"username", "email"} <= set(columns):
            raise ImportRefused(
                f"{shown(path)} does not begin with the columns username,email. Nothing was changed; add that line."
            )
        for (number, _), line in zip(numbered[1:], lines, strict=False):
            email, problem = address_of(read_cell(line[columns["email"]] or ""))
            if email is None:
                raise ImportRefused(f"{shown(path)}, line {number}: {problem}. Nothing was changed; correct it there.")
            affiliate = (line.get(columns.get("affiliate", "")) or "") if "affiliate" in columns else ""
            book.addresses[fold_name(read_cell(affiliate)), read_cell(line[columns["username"]] or "")] = email
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is no CSV file ({error})"
        raise ImportRefused(
            f"{shown(path)} cannot be read: {reason}. Nothing was changed; give a file with username,email."
        ) from error
    return book


def _text(path: str) -> str:
    with Path(path).open("rb") as file:
        decoded = decode(file.read(MAX_BYTES + 1))
    if decoded.complaint:
        raise ImportRefused(f"{shown(path)} cannot be read. {decoded.complaint} Nothing was changed.")
    return decoded.text


def _column(cell: str) -> str:
    return read_cell(cell.strip().strip('"')).casefold()

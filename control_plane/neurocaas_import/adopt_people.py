"""Owners of the predecessor's IAM users: from a file of addresses, the stack's profile, or a user name that is an address."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from control_plane.accounts.validation import fold_name
from control_plane.neurocaas_import.addresses import AddressBook, read_address_book
from control_plane.neurocaas_import.entries import ImportRefused
from control_plane.neurocaas_import.normalising import address_of, strip_timestamp
from control_plane.neurocaas_import.people import find_people
from control_plane.neurocaas_import.profiles import find_affiliates
from control_plane.neurocaas_import.reading import read_profiles


@dataclass(frozen=True)
class Directory:
    """Addresses by affiliate and user name."""

    book: AddressBook = field(default_factory=AddressBook)
    profile: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def find(self, affiliate: str, username: str) -> str:
        """Return the person's address; '' if it is not known."""
        of_profile = self.profile.get((fold_name(affiliate), username), "")
        address = self.book.find(affiliate, username) or of_profile or address_of(strip_timestamp(username)[0])[0]
        return (address or "").lower()


def read_directory(profile: Path | None, emails: Path | None) -> Directory:
    """Read the addresses in a profile's folder and in a CSV file, which takes precedence. Raises ImportRefused."""
    book = read_address_book(str(emails)) if emails else AddressBook()
    return Directory(book, _of_profile(profile, book) if profile else {})


def _of_profile(folder: Path, book: AddressBook) -> dict[tuple[str, str], str]:
    addresses: dict[tuple[str, str], str] = {}
    for profile in read_profiles([str(folder)]):
        if profile.document is None:
            raise ImportRefused(f"{folder} cannot be used: {' '.join(profile.entry.notes)} Nothing was changed.")
        for affiliate in find_affiliates(profile):
            name = affiliate.fields.get("AffiliateName")
            if isinstance(name, str):
                people = find_people(affiliate.fields, affiliate.entry, name, book)
                addresses |= {(fold_name(name), person.username): person.email for person in people if person.email}
    return addresses

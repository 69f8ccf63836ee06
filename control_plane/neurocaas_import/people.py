"""Mapping of UserNames and ContactEmail to people with addresses.

Rules:
- A person is known by an address; a user name without one is refused, with what to do.
- An address from `--emails` counts before ContactEmail, and ContactEmail before a user name that is itself an address.
- A list as long as UserNames belongs to it name by name. From a shorter or longer one each name takes the address that begins
  with it, and those left over the address at their own place in the list. A text is a list of one, or of what its commas part.
- A mapping goes by name, as written or without the time after the name. UserNames may be such a mapping, too.
- An address that belongs to no name is refused by itself. Of two equal names, or two with one address, the second is the first.
"""

from dataclasses import dataclass
from typing import Any

from control_plane.neurocaas_import.addresses import AddressBook
from control_plane.neurocaas_import.entries import Entry, shown
from control_plane.neurocaas_import.normalising import address_of, clean_text, items_of, strip_timestamp, text_of

NO_ADDRESS = "There is no address for this user. Add one by --emails file.csv (username,email), then run this again."


@dataclass
class Person:
    """A user of the predecessor's, with the address if one was found."""

    entry: Entry
    username: str = ""
    email: str | None = None
    same_as: "Person | None" = None


@dataclass
class _Offer:
    """An address that the profile offers for a name, with a note on how it was matched."""

    raw: Any
    note: str = ""


def find_people(fields: dict[str, Any], group: Entry, affiliate: str, book: AddressBook) -> list[Person]:
    """Return everybody in an affiliate, and the unassigned addresses, each with its entry."""
    raw_names, raw_addresses = fields.get("UserNames"), fields.get("ContactEmail")
    if isinstance(raw_names, dict):
        group.mend("UserNames is a mapping; it was read as names with their addresses.")
        raw_addresses = {**raw_names, **(raw_addresses if isinstance(raw_addresses, dict) else {})}
        raw_names = list(raw_names)
    items, how = items_of(raw_names)
    if how:
        group.mend(f"UserNames: {how}.")
    people = [_person(item) for item in items]
    offers, unassigned = _offers(people, raw_addresses, group)
    first: dict[str, Person] = {}
    for person, offer in zip(people, offers, strict=True):
        if person.entry.is_refused:
            continue
        if person.username in first:
            person.same_as = first[person.username]
            continue
        first[person.username] = person
        _resolve_address(person, offer, affiliate, book)
    return people + [_unassigned_address(raw) for raw in unassigned]


def _person(raw: Any) -> Person:
    entry = Entry("person", shown(raw))
    text = text_of(raw, "user name", entry)
    username = clean_text(text) if text is not None else ""
    if text is not None and not username:
        entry.refuse("The user name is empty. Take it out there.")
    elif text is not None and username != text and isinstance(raw, str):
        entry.mend("White space or characters that cannot be seen were left out of the user name.")
    return Person(entry, username)


def _resolve_address(person: Person, offer: _Offer | None, affiliate: str, book: AddressBook) -> None:
    """Find the person's address, or refuse the entry."""
    entry = person.entry
    bare, day = strip_timestamp(person.username)
    if day:
        entry.mend(f"The digits after “{shown(bare)}” are the time that the predecessor put there ({day}); they were left out.")
    person.email = book.find(affiliate, person.username)
    problem = ""
    if person.email:
        entry.mend("The address is from the file of --emails.")
    elif offer is not None:
        problem = _use_offer(person, offer)
    if not person.email:
        person.email, _ = address_of(bare)
        if person.email:
            entry.mend(f"{problem}. " * bool(problem) + "The user name is itself an address; it was taken.")
    if person.email:
        entry.becomes = person.email
    else:
        entry.refuse(
            f"{problem}. Correct it there, or add an address by --emails file.csv (username,email)." if problem else NO_ADDRESS
        )


def _use_offer(person: Person, offer: _Offer) -> str:
    """Take the address that ContactEmail has for the person. Returns what is wrong with it, or ''."""
    person.email, note = address_of(offer.raw)
    if not person.email:
        return note
    if note:
        person.entry.mend(f"In ContactEmail {note}.")
    if offer.note:
        person.entry.mend(offer.note)
    return ""


def _offers(people: list[Person], raw: Any, group: Entry) -> tuple[list[_Offer | None], list[Any]]:
    """Return for each person the address that ContactEmail holds, if any, and the unassigned addresses."""
    if isinstance(raw, dict):
        return _by_name(people, raw)
    items, how = items_of(raw, by_space=False)
    if how and people:
        group.mend(f"ContactEmail: {how}.")
    if len(items) == len(people):
        return [_Offer(item) for item in items], []
    if not items:
        return [None] * len(people), []
    return _by_likeness(people, items)


def _by_name(people: list[Person], raw: dict[str, Any]) -> tuple[list[_Offer | None], list[Any]]:
    keys_by_match: dict[str, list[str]] = {}
    for key in raw:
        keys_by_match.setdefault(_match_key(key), []).append(key)
    offers: list[_Offer | None] = []
    used = set[str]()
    for person in people:
        keys = keys_by_match.get(_match_key(person.username), [])
        if person.username not in raw and len(keys) != 1:
            offers.append(None)
            continue
        key = person.username if person.username in raw else keys[0]
        used.add(key)
        items, how = items_of(raw[key])
        note = "" if key == person.username else f"ContactEmail has it under “{shown(key)}”."
        if len(items) > 1 and not how:
            note = f"{note} Of {len(items)} addresses the first was taken.".strip()
        offers.append(_Offer(items[0], note) if items else None)
    unassigned = [raw[key] for key in raw if key not in used]
    return offers, unassigned


def _by_likeness(people: list[Person], items: list[Any]) -> tuple[list[_Offer | None], list[Any]]:
    length = "shorter" if len(items) < len(people) else "longer"
    beginnings: dict[str, int] = {}
    for index, item in enumerate(items):
        email, _ = address_of(item)
        beginnings.setdefault((email or "").partition("@")[0], index)
    free = set(range(len(items)))
    offers: list[_Offer | None] = [None] * len(people)
    for index, person in enumerate(people):
        position = beginnings.get(_match_key(person.username), -1)
        if position in free:
            free.discard(position)
            offers[index] = _Offer(items[position], f"ContactEmail is {length} than UserNames; this address begins with the name.")
    taken = {person.username for person, offer in zip(people, offers, strict=True) if offer}
    for index, person in enumerate(people):
        if offers[index] is None and index in free and person.username not in taken:
            free.discard(index)
            offers[index] = _Offer(
                items[index], f"ContactEmail is {length} than UserNames; the address at the same place was taken."
            )
    return offers, [items[index] for index in sorted(free)]


def _unassigned_address(raw: Any) -> Person:
    entry = Entry("address", shown(raw))
    entry.refuse(
        "This address belongs to no name in UserNames. If it is a member's, add it by hand once the group is there: "
        "manage.py member add <slug> <address> --create."
    )
    return Person(entry)


def _match_key(name: str) -> str:
    return strip_timestamp(name.strip())[0].casefold()

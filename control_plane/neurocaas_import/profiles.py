"""From a document to its affiliates: where they stand, under which keys.

What is decided here: affiliates stand in the list `UXData.Affiliates`. A mapping that names an AffiliateName or UserNames is one
wherever it stands, which is said. What stands in that list and is none is refused by itself. Keys may differ in case, spaces,
hyphens and underscores. STAGE, REGION and KeySerialNumber may be missing, and are not needed. Keys that nobody knows are named
once for the profile and not looked at.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from control_plane.neurocaas_import.entries import Entry, kind_of, shown
from control_plane.neurocaas_import.reading import Profile

PLACE = "UXData.Affiliates"
_FIELDS = {
    "affiliatename": "AffiliateName",
    "usernames": "UserNames",
    "username": "UserNames",
    "contactemail": "ContactEmail",
    "contactemails": "ContactEmail",
    "pipelines": "Pipelines",
    "pipeline": "Pipelines",
    "pipelinedir": "PipelineDir",
    "keyserialnumber": "KeySerialNumber",
}
_KNOWN_ELSEWHERE = {"", "stage", "uxdata", "affiliates", "lambda"}
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
MAX_UNKNOWN = 12


@dataclass
class Affiliate:
    """One group of the predecessor's, by the keys it is known to have had; `entry` says what becomes of it."""

    entry: Entry
    fields: dict[str, Any] = field(default_factory=dict)


def find_affiliates(profile: Profile) -> list[Affiliate]:
    """The document's affiliates in its order; the profile's entry says what is odd about where they stand."""
    found: list[Affiliate] = []
    unknown: dict[str, None] = {}
    # A stack of our own: a document may be as deep as its reader let it be.
    waiting: list[tuple[str, Any]] = [("", profile.document)]
    while waiting:
        at, value = waiting.pop()
        if isinstance(value, dict):
            if _is_affiliate(value):
                found.append(_affiliate(at, value, profile.entry, unknown))
                continue
            if at in ("", "UXData"):
                unknown.update(dict.fromkeys(shown(key, 40) for key in value if _plain(key) not in _KNOWN_ELSEWHERE))
            waiting += [(_below(at, key), value[key]) for key in reversed(value)]
        elif isinstance(value, list):
            waiting += [(f"{at}[{index}]", value[index]) for index in reversed(range(len(value)))]
    found += [_stranger(at, value) for at, value in _strangers(profile.document)]
    if unknown:
        names = list(unknown)
        more = f" and {len(names) - MAX_UNKNOWN} more" if len(names) > MAX_UNKNOWN else ""
        profile.entry.say(f"Not known, and not looked at: {', '.join(names[:MAX_UNKNOWN])}{more}.")
    if not found and not profile.entry.is_refused:
        profile.entry.refuse(
            f"It holds no affiliates: they are expected in the list {PLACE}. Give the right file, or write them there."
        )
    return found


def region_of(document: Any) -> str:
    """The predecessor's region, if the document says one."""
    for key in ("Lambda", "LambdaConfig", "REGION"):
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, str) and _REGION.fullmatch(document) else ""


def _affiliate(at: str, value: dict[str, Any], profile: Entry, unknown: dict[str, None]) -> Affiliate:
    fields: dict[str, Any] = {}
    # Exact keys first: of two that mean the same, the one that the predecessor read counts.
    for key in sorted(value, key=lambda key: key not in _FIELDS.values()):
        name = _FIELDS.get(_plain(key))
        if name is None or name in fields:
            unknown[shown(key, 40)] = None
        else:
            fields[name] = value[key]
            if key != name:
                profile.mend(f"The key {shown(key, 40)} was read as {name}.")
    entry = Entry("group", shown(fields.get("AffiliateName", f"(without a name, at {at or 'the top'})")))
    if not _is_in_list(at):
        profile.mend(f"Affiliates were found at {at or 'the top of the file'} rather than in {PLACE}.")
    if "AffiliateName" not in fields:
        entry.refuse(f"At {at or 'the top'} there is no AffiliateName. Write one there, then run this again.")
    return Affiliate(entry, fields)


def _stranger(at: str, value: Any) -> Affiliate:
    entry = Entry("group", shown(value))
    entry.refuse(f"At {at} there is {kind_of(value)} where an affiliate is expected, a mapping with AffiliateName.")
    return Affiliate(entry)


def _strangers(document: Any) -> list[tuple[str, Any]]:
    """What stands in the list of affiliates and neither is one nor holds one."""
    place = document.get("UXData") if isinstance(document, dict) else None
    standing = place.get("Affiliates") if isinstance(place, dict) else None
    if not isinstance(standing, list):
        return []
    return [(f"{PLACE}[{index}]", value) for index, value in enumerate(standing) if not _holds_affiliate(value)]


def _holds_affiliate(value: Any) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if _is_affiliate(one):
                return True
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return False


def _is_affiliate(value: dict[str, Any]) -> bool:
    return any(_FIELDS.get(_plain(key)) in ("AffiliateName", "UserNames") for key in value)


def _is_in_list(at: str) -> bool:
    return at.startswith(f"{PLACE}[") and at.endswith("]") and at.count("[") == 1


def _below(at: str, key: str) -> str:
    shown_key = shown(key, 40)
    return f"{at}.{shown_key}"[-200:] if at else shown_key


def _plain(key: str) -> str:
    return re.sub(r"[\s_-]+", "", key[:60].casefold())

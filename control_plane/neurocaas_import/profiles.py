"""Affiliates of a profile's document: their position and keys.

Rules: affiliates are in the list `UXData.Affiliates`. A mapping with an AffiliateName or UserNames is one at any other position
too, which is noted. Any other item of that list is refused by itself. Keys may differ in case, spaces, hyphens and underscores.
STAGE, REGION and KeySerialNumber may be missing, and are not needed. Unknown keys are listed once for the profile and ignored.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from control_plane.neurocaas_import.entries import Entry, kind_of, shown
from control_plane.neurocaas_import.reading import Profile

AFFILIATES_PATH = "UXData.Affiliates"
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
MAX_UNKNOWN_KEYS = 12


@dataclass
class Affiliate:
    """A group of the predecessor, with its known keys and its entry in the report."""

    entry: Entry
    fields: dict[str, Any] = field(default_factory=dict)


def find_affiliates(profile: Profile) -> list[Affiliate]:
    """Return the document's affiliates in its order. Unexpected positions are noted in the profile's entry."""
    affiliates: list[Affiliate] = []
    unknown: dict[str, None] = {}
    # An explicit stack, since the document may be nested more deeply than Python's recursion limit.
    waiting: list[tuple[str, Any]] = [("", profile.document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            if _is_affiliate(value):
                affiliates.append(_affiliate(path, value, profile.entry, unknown))
                continue
            if path in ("", "UXData"):
                unknown.update(dict.fromkeys(shown(key, 40) for key in value if _normalise_key(key) not in _KNOWN_ELSEWHERE))
            waiting += [(_below(path, key), value[key]) for key in reversed(value)]
        elif isinstance(value, list):
            waiting += [(f"{path}[{index}]", value[index]) for index in reversed(range(len(value)))]
    affiliates += [_refused_item(path, value) for path, value in _unexpected_items(profile.document)]
    if unknown:
        names = list(unknown)
        more = f" and {len(names) - MAX_UNKNOWN_KEYS} more" if len(names) > MAX_UNKNOWN_KEYS else ""
        profile.entry.add_note(f"Not known, and not looked at: {', '.join(names[:MAX_UNKNOWN_KEYS])}{more}.")
    if not affiliates and not profile.entry.is_refused:
        profile.entry.refuse(
            f"It holds no affiliates: they are expected in the list {AFFILIATES_PATH}. Give the right file, or write them there."
        )
    return affiliates


def region_of(document: Any) -> str:
    """Return the predecessor's region; '' if the document names none."""
    for key in ("Lambda", "LambdaConfig", "REGION"):
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, str) and _REGION.fullmatch(document) else ""


def _affiliate(path: str, value: dict[str, Any], profile: Entry, unknown: dict[str, None]) -> Affiliate:
    fields: dict[str, Any] = {}
    # Exact keys first: of two with the same meaning, the one that the predecessor read counts.
    for key in sorted(value, key=lambda key: key not in _FIELDS.values()):
        name = _FIELDS.get(_normalise_key(key))
        if name is None or name in fields:
            unknown[shown(key, 40)] = None
        else:
            fields[name] = value[key]
            if key != name:
                profile.mend(f"The key {shown(key, 40)} was read as {name}.")
    entry = Entry("group", shown(fields.get("AffiliateName", f"(without a name, at {path or 'the top'})")))
    if not _is_in_list(path):
        profile.mend(f"Affiliates were found at {path or 'the top of the file'} rather than in {AFFILIATES_PATH}.")
    if "AffiliateName" not in fields:
        entry.refuse(f"At {path or 'the top'} there is no AffiliateName. Write one there, then run this again.")
    return Affiliate(entry, fields)


def _refused_item(path: str, value: Any) -> Affiliate:
    entry = Entry("group", shown(value))
    entry.refuse(f"At {path} there is {kind_of(value)} where an affiliate is expected, a mapping with AffiliateName.")
    return Affiliate(entry)


def _unexpected_items(document: Any) -> list[tuple[str, Any]]:
    """Return the items of the list of affiliates that neither are nor contain one."""
    place = document.get("UXData") if isinstance(document, dict) else None
    standing = place.get("Affiliates") if isinstance(place, dict) else None
    if not isinstance(standing, list):
        return []
    return [(f"{AFFILIATES_PATH}[{index}]", value) for index, value in enumerate(standing) if not _holds_affiliate(value)]


def _holds_affiliate(value: Any) -> bool:
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if _is_affiliate(part):
                return True
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return False


def _is_affiliate(value: dict[str, Any]) -> bool:
    return any(_FIELDS.get(_normalise_key(key)) in ("AffiliateName", "UserNames") for key in value)


def _is_in_list(path: str) -> bool:
    return path.startswith(f"{AFFILIATES_PATH}[") and path.endswith("]") and path.count("[") == 1


def _below(path: str, key: str) -> str:
    shown_key = shown(key, 40)
    return f"{path}.{shown_key}"[-200:] if path else shown_key


def _normalise_key(key: str) -> str:
    return re.sub(r"[\s_-]+", "", key[:60].casefold())

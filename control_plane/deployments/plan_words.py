"""A plan's changes in words, for pages and for the record of a cancelled deployment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control_plane.deployments.member_addresses import addresses_of
from control_plane.deployments.plans import PeopleChange

# Changes shown of each list; the others are only counted.
MAX_SHOWN_CHANGES = 200

SIGNS = {
    "add": "+",
    "joins": "+",
    "remove": "−",
    "leaves": "−",
    "change": "~",
    "changes": "~",
    "replace": "±",
}
_PEOPLE_WORDS = {
    ("member", "joins"): "gets access",
    ("member", "leaves"): "loses access",
    ("member", "changes"): "gets in another way",
    ("analysis", "joins"): "can be used",
    ("analysis", "leaves"): "can no longer be used",
    ("analysis", "changes"): "is used in another way",
    ("bucket", "joins"): "is made",
    ("bucket", "leaves"): "is no longer Cohort’s",
    ("bucket", "changes"): "changes",
    ("group", "changes"): "changes",
    ("versions", "changes"): "are kept",
}
_DETAILS = {
    "federated": "short-lived credentials",
    "keys": "an access key of their own",
    "read-write": "read and write",
    "read-only": "read only",
    "bucket": "",
    "key before active": "the key before kept for a while",
    "key before inactive": "the key before kept, inactive",
}
_SUSPENSION = {"suspended": "is suspended: everything is denied", "resumed": "is no longer suspended"}


@dataclass(frozen=True)
class PlanRow:
    """One change in words. `technical` is AWS's own name for what changes."""

    sign: str
    name: str
    what: str
    technical: str
    widens: bool = False
    # The page's note on a change that widens access.
    widens_how: str = "lets somebody do more"


def people_rows(changes: Sequence[PeopleChange], names: Mapping[str, str] | None = None) -> list[PlanRow]:
    """Describe the changes of people and data in words, people by their addresses. At most one query.

    `names` gives addresses to members whom the database does not hold.
    """
    usernames = [change.name for change in changes if change.kind == "member"][:MAX_SHOWN_CHANGES]
    addresses = addresses_of(usernames) | dict(names or {})
    return [_person(change, addresses) for change in changes]


def _person(change: PeopleChange, addresses: Mapping[str, str]) -> PlanRow:
    known = addresses.get(change.name, "") if change.kind == "member" else ""
    words = change.detail.split(", ")
    suspension = next((_SUSPENSION[word] for word in words if word in _SUSPENSION), "")
    what = suspension if suspension and change.change == "changes" else _PEOPLE_WORDS[change.kind, change.change]
    details = [_DETAILS.get(word, word.replace("serial", "number")) for word in words if word not in _SUSPENSION]
    detail = ", ".join([*filter(None, details), *(["suspended"] if "suspended" in words and change.change == "joins" else [])])
    subject = {"member": "", "analysis": "the analysis’s bucket ", "bucket": "the bucket ", "group": "the group ", "versions": ""}[
        change.kind
    ]
    return PlanRow(
        sign=SIGNS[change.change],
        name=known or f"{subject}{change.name}",
        what=f"{what} ({detail})" if detail and change.change != "leaves" else what,
        technical=change.name if known else "",
        widens=change.widens,
        **({"widens_how": "ends data for good"} if change.kind == "versions" else {}),
    )

"""Words for what a plan changes: for pages, and for the record of a deployment that was cancelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control_plane.deployments.member_addresses import addresses_of
from control_plane.deployments.plans import PeopleChange

# What is shown of each list; the rest is told as a number.
MAX_SHOWN = 200

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
class Row:
    """One thing that changes. `technical` is AWS's own word for it."""

    sign: str
    name: str
    what: str
    technical: str
    widens: bool = False
    # What a page says of one that widens.
    widens_how: str = "lets somebody do more"


def people_rows(changes: Sequence[PeopleChange], names: Mapping[str, str] | None = None) -> list[Row]:
    """Put the changes of people and data into words, people by their addresses, in at most one query.

    `names` gives addresses to members whom the database does not hold.
    """
    usernames = [change.name for change in changes if change.kind == "member"][:MAX_SHOWN]
    addresses = addresses_of(usernames) | dict(names or {})
    return [_person(change, addresses) for change in changes]


def _person(change: PeopleChange, addresses: Mapping[str, str]) -> Row:
    known = addresses.get(change.name, "") if change.kind == "member" else ""
    words = change.detail.split(", ")
    suspension = next((_SUSPENSION[word] for word in words if word in _SUSPENSION), "")
    what = suspension if suspension and change.change == "changes" else _PEOPLE_WORDS[change.kind, change.change]
    told = [_DETAILS.get(word, word.replace("serial", "number")) for word in words if word not in _SUSPENSION]
    detail = ", ".join([*filter(None, told), *(["suspended"] if "suspended" in words and change.change == "joins" else [])])
    subject = {"member": "", "analysis": "the analysis’s bucket ", "bucket": "the bucket ", "group": "the group ", "versions": ""}[
        change.kind
    ]
    return Row(
        sign=SIGNS[change.change],
        name=known or f"{subject}{change.name}",
        what=f"{what} ({detail})" if detail and change.change != "leaves" else what,
        technical=change.name if known else "",
        widens=change.widens,
        **({"widens_how": "ends data for good"} if change.kind == "versions" else {}),
    )

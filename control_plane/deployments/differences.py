"""One thing on AWS that is not as deployed, as a check records it on the stack's row."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

HIDDEN = "(not shown)"
LONGEST_VALUE = 2000
# What a row holds; of a stack with more, the page could not tell more either.
MAX_RECORDED = 1000


@dataclass(frozen=True)
class Difference:
    """One thing on AWS that is not as deployed, or that could not be read.

    `properties` holds path, expected and actual of each property that differs; `note` says in a sentence what the rest leaves
    open: what it is, and what to do about it.
    """

    what: Literal["stack", "template", "resource"]
    logical_id: str
    type: str
    status: Literal["missing", "changed", "deleted", "added", "left", "unread"]
    properties: list[dict[str, str]] = field(default_factory=list)
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the database and for commands."""
        told = asdict(self)
        return told if self.note else {key: value for key, value in told.items() if key != "note"}


def unread(logical_id: str, resource_type: str, reason: str, what: Literal["stack", "resource"] = "resource") -> Difference:
    """What could not be read, and why: whether it is as deployed is not known."""
    return Difference(
        what, logical_id, resource_type, "unread", [{"path": "", "expected": "an answer", "actual": shortened(reason)}]
    )


def shortened(value: str) -> str:
    """A value that a page can show."""
    return value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}…"

"""Difference between AWS and what was deployed, as a drift check records it on the stack's row."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

HIDDEN = "(not shown)"
MAX_VALUE_CHARACTERS = 2000
# Differences that a stack's row holds; of a stack with more, a page could not show more either.
MAX_RECORDED_DIFFERENCES = 1000


@dataclass(frozen=True)
class Difference:
    """A stack, template or resource on AWS that is not as deployed, or that could not be read.

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
        """Return it as JSON data, for the database and for commands."""
        document = asdict(self)
        return document if self.note else {key: value for key, value in document.items() if key != "note"}


def unread(logical_id: str, resource_type: str, reason: str, what: Literal["stack", "resource"] = "resource") -> Difference:
    """Make a difference for what could not be read, with the reason: whether it is as deployed is not known."""
    return Difference(
        what, logical_id, resource_type, "unread", [{"path": "", "expected": "an answer", "actual": shortened(reason)}]
    )


def shortened(value: str) -> str:
    """Return a value cut to MAX_VALUE_CHARACTERS, for a page."""
    return value if len(value) <= MAX_VALUE_CHARACTERS else f"{value[:MAX_VALUE_CHARACTERS]}…"

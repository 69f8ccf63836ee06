"""Changes to policies and templates, for what a proof is to fail on."""

import json
from collections.abc import Mapping
from typing import Any


def without(document: Mapping[str, Any], *sids: str) -> dict[str, Any]:
    """The policy without these statements, each of which it has to have."""
    missing = set(sids) - {item.get("Sid") for item in document["Statement"]}
    if missing:
        raise LookupError(f"The policy has no statement {', '.join(sorted(missing))}.")
    return {**document, "Statement": [item for item in document["Statement"] if item.get("Sid") not in sids]}


def without_actions(document: Mapping[str, Any], *actions: str) -> dict[str, Any]:
    """The policy without these actions, wherever it names them; it has to name each."""
    named = {action for item in document["Statement"] for action in _listed(item.get("Action", ()))}
    if missing := set(actions) - named:
        raise LookupError(f"The policy does not name {', '.join(sorted(missing))}.")
    statements = [
        {**item, "Action": kept} if "Action" in item else item
        for item in document["Statement"]
        if (kept := [action for action in _listed(item.get("Action", ())) if action not in actions]) or "Action" not in item
    ]
    return {**document, "Statement": statements}


def with_statement(document: Mapping[str, Any], action: str, resource: str) -> dict[str, Any]:
    """The policy with one more right."""
    return {**document, "Statement": [*document["Statement"], {"Effect": "Allow", "Action": action, "Resource": resource}]}


def with_text(document: Mapping[str, Any], before: str, after: str) -> dict[str, Any]:
    """The policy with other words, wherever it has these; it has to have them."""
    text = json.dumps(document)
    if before not in text:
        raise LookupError(f"The policy does not say {before}.")
    found: dict[str, Any] = json.loads(text.replace(before, after))
    return found


def _listed(words: Any) -> list[str]:
    return [words] if isinstance(words, str) else list(words)

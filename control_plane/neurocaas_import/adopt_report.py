"""Reports of an adoption or its dry run, and of adopted keys, as text and as JSON."""

from collections.abc import Iterable
from typing import Any

from control_plane.access.keys.models import AdoptedKey
from control_plane.base.terminal import table
from control_plane.neurocaas_import.adopt_inspect import OldGroup, OldStack

Document = dict[str, Any]


def as_document(stack: str, old: OldStack | None, begun: list[str], *, applied: bool) -> Document:
    """Return the report as JSON. `begun` are groups that an earlier run did not finish."""
    groups = old.groups if old else []
    return {
        "stack": stack,
        "applied": applied,
        "going_on_with": begun,
        "adopted": [_group(group) for group in groups if not group.refusals],
        "refused": [_group(group) for group in groups if group.refusals],
        "left": [{"resource": name, "type": kind} for name, kind in old.left] if old else [],
        "secrets_in_outputs": old.secrets_shown if old else [],
        "nothing_to_do": not begun and not groups,
    }


def as_text(document: Document) -> str:
    """Return the report as text."""
    lines = []
    done = document["applied"]
    if document["nothing_to_do"]:
        lines.append(f"{document['stack']}: there is nothing to adopt: it holds no IAM group “…usercentricgroup” (any more).")
    if document["going_on_with"]:
        word = "Went on with" if done else "--apply goes on with"
        lines.append(f"{word} what was begun: {', '.join(document['going_on_with'])}.")
    for group in document["adopted"]:
        verb = "is adopted" if done else "would be adopted"
        lines.append(
            f"{group['old_group']} {verb} as the group {group['slug']} (analyses in {', '.join(group['buckets']) or 'none'}):"
        )
        lines += [_person(person) for person in group["people"]]
        if group["strangers"]:
            lines.append(f"  the IAM group stays, because of {', '.join(group['strangers'])}, whom this stack did not make")
        lines += [f"  lost: {loss}" for loss in group["losses"]]
    for group in document["refused"]:
        lines.append(f"{group['old_group']} is refused, and nothing of it is touched:")
        lines += [f"  - {problem}" for problem in group["problems"]]
    lines += [f"left in the stack: {resource['resource']} ({resource['type']})" for resource in document["left"]]
    if shown := document["secrets_in_outputs"]:
        still = "stood" if done else "stand"
        lines.append(
            f"Secrets {still} in the stack's outputs, readable by all who may describe it: {', '.join(shown)}. "
            "Adopting removes them there; whoever saw them has them still, so have people replace their old keys soon."
        )
    if document["adopted"] and not done:
        lines.append(
            "In its folder a group then writes in inputs/, configs/ and submissions/, reads all, and leaves results/ to the "
            "analyses. Console passwords end; keys work before, during and after. Nothing was changed: --apply does it."
        )
    return "\n".join(lines)


def keys_as_document(keys: Iterable[AdoptedKey]) -> list[Document]:
    """Return adopted keys as JSON, without any secret."""
    return [
        {
            "access_key_id": key.access_key_id,
            "email": key.membership.user.email,
            "group": key.membership.group.slug,
            "old_user": key.old_user,
            "state": key.state,
            "adopted_at": key.adopted_at,
        }
        for key in keys
    ]


def keys_as_text(document: list[Document]) -> str:
    """Return adopted keys as a table."""
    head = ["key", "person", "group", "was", "state"]
    return table([[str(key[name]) for name in ("access_key_id", "email", "group", "old_user", "state")] for key in document], head)


def _group(group: OldGroup) -> Document:
    return {
        "old_group": group.name,
        "slug": group.slug,
        "buckets": sorted(group.s3_access.buckets),
        "losses": group.s3_access.losses,
        "strangers": group.strangers,
        "problems": group.refusals,
        "resources": sorted(group.resources),
        "people": [{"old_user": user.name, "email": user.email, "key": user.key_id, "notes": user.notes} for user in group.users],
    }


def _person(person: Document) -> str:
    key = f"key {person['key']} goes on working" if person["key"] else "no key"
    return f"  {person['old_user']} -> {person['email']}: {key}" + "".join(f"; {note}" for note in person["notes"])

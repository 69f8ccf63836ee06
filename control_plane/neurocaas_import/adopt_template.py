"""The predecessor's template, changed so that resources leave its stack and go on existing. Plain data in, plain data out."""

import copy
import re
from collections.abc import Collection, Mapping
from typing import Any

Template = dict[str, Any]
Resource = dict[str, Any]

KEPT = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
# CloudFormation does not take an update that changes policies alone, but one that changes metadata too (its user guide,
# "DeletionPolicy attribute").
NOTE = "Cohort"
_SECRET = "SecretAccessKey"  # noqa: S105
_VARIABLE = re.compile(r"\$\{([^!][^}]*)\}")


class NotUnderstood(ValueError):
    """Something that stays refers to something that goes in a way that cannot be put differently."""


def keep(template: Template, leaving: Collection[str], note: str) -> Template:
    """The template with these resources to be kept whatever becomes of it, and without outputs that show a secret key."""
    changed = copy.deepcopy(template)
    for logical_id in leaving:
        resource = changed["Resources"][logical_id]
        resource |= KEPT
        resource["Metadata"] = {**resource.get("Metadata", {}), NOTE: note}
    _set_outputs(changed, {name: one for name, one in changed.get("Outputs", {}).items() if not _shows_secret(name, one)})
    return changed


def is_kept(template: Template, leaving: Collection[str]) -> bool:
    """Whether `keep` has been done already for all of these, and no output shows a secret key."""
    resources = template["Resources"]
    return all(KEPT.items() <= resources[name].items() for name in leaving) and not secret_outputs(template)


def without(template: Template, leaving: Mapping[str, str]) -> Template | None:
    """The template without these resources (physical ids by logical ids), or None if it would hold no resource.

    What stays names them by their physical ids from then on; outputs about them go. Raises NotUnderstood.
    """
    changed = copy.deepcopy(template)
    resources: dict[str, Resource] = {name: one for name, one in changed["Resources"].items() if name not in leaving}
    if not resources:
        return None
    _set_outputs(changed, {name: one for name, one in changed.get("Outputs", {}).items() if not references(one) & leaving.keys()})
    for name, resource in resources.items():
        _drop_dependencies(resource, leaving)
        resources[name] = _replaced(resource, leaving, name)
    return changed | {"Resources": resources}


def references(part: Any) -> set[str]:
    """The logical ids that a part of a template refers to, wherever in it."""
    if isinstance(part, list):
        return {name for one in part for name in references(one)}
    if not isinstance(part, dict):
        return set()
    found = {name for one in part.values() for name in references(one)}
    if isinstance(named := part.get("Ref"), str):
        found.add(named)
    if "Fn::GetAtt" in part:
        found.add(_attribute(part["Fn::GetAtt"])[0])
    if "Fn::Sub" in part:
        text = part["Fn::Sub"] if isinstance(part["Fn::Sub"], str) else part["Fn::Sub"][0]
        found |= {name.split(".")[0] for name in _VARIABLE.findall(text)}
    return found


def secret_outputs(template: Template) -> list[str]:
    """The outputs in which a secret key or a password stands for everyone to read who may describe the stack."""
    return sorted(name for name, one in template.get("Outputs", {}).items() if _shows_secret(name, one))


def _shows_secret(name: str, output: Any) -> bool:
    return name.startswith(("SecretAccessKey", "Password")) or _holds_secret(output.get("Value"))


def _holds_secret(part: Any) -> bool:
    if isinstance(part, dict):
        if "Fn::GetAtt" in part and _attribute(part["Fn::GetAtt"])[1] == _SECRET:
            return True
        if _SECRET in str(part.get("Fn::Sub", "")):
            return True
        return any(_holds_secret(one) for one in part.values())
    return isinstance(part, list) and any(_holds_secret(one) for one in part)


def _set_outputs(template: Template, outputs: dict[str, Any]) -> None:
    template.pop("Outputs", None)
    if outputs:
        template["Outputs"] = outputs


def _drop_dependencies(resource: Resource, leaving: Mapping[str, str]) -> None:
    named = resource.pop("DependsOn", [])
    if kept := [name for name in ([named] if isinstance(named, str) else named) if name not in leaving]:
        resource["DependsOn"] = kept


def _replaced(part: Any, leaving: Mapping[str, str], where: str) -> Any:
    if isinstance(part, list):
        return [_replaced(one, leaving, where) for one in part]
    if not isinstance(part, dict):
        return part
    if part.keys() == {"Ref"} and part["Ref"] in leaving:
        return leaving[part["Ref"]]
    inside = {key: _replaced(one, leaving, where) for key, one in part.items()}
    if left := references(inside) & leaving.keys():
        raise NotUnderstood(
            f"the resource {where}, which stays, refers to {', '.join(sorted(left))} in a way that is not understood"
        )
    return inside


def _attribute(given: Any) -> tuple[str, str]:
    name, _, attribute = given.partition(".") if isinstance(given, str) else (given[0], "", given[1])
    return str(name), str(attribute)

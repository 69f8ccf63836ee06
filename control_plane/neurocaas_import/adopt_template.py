"""Changes to the predecessor's template, so that resources leave its stack and stay on AWS. Pure functions on templates."""

import copy
import re
from collections.abc import Collection, Mapping
from typing import Any

Template = dict[str, Any]
Resource = dict[str, Any]

RETAIN_POLICIES = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
# CloudFormation accepts no update that changes only these policies; a change of metadata makes it one (its user guide,
# "DeletionPolicy attribute").
NOTE_KEY = "Cohort"
_SECRET = "SecretAccessKey"  # noqa: S105
_VARIABLE = re.compile(r"\$\{([^!][^}]*)\}")


class UnknownReference(ValueError):
    """A remaining resource refers to a leaving one in a way that cannot be replaced by its physical id."""


def retain(template: Template, leaving: Collection[str], note: str) -> Template:
    """Return the template with these resources retained on deletion, and without outputs that show a secret key."""
    changed = copy.deepcopy(template)
    for logical_id in leaving:
        resource = changed["Resources"][logical_id]
        resource |= RETAIN_POLICIES
        resource["Metadata"] = {**resource.get("Metadata", {}), NOTE_KEY: note}
    _set_outputs(changed, {name: output for name, output in changed.get("Outputs", {}).items() if not _shows_secret(name, output)})
    return changed


def is_retained(template: Template, leaving: Collection[str]) -> bool:
    """Check whether all of these are retained already, and no output shows a secret key."""
    resources = template["Resources"]
    return all(RETAIN_POLICIES.items() <= resources[name].items() for name in leaving) and not secret_outputs(template)


def without_resources(template: Template, leaving: Mapping[str, str]) -> Template | None:
    """Return the template without these resources (physical ids by logical ids), or None if no resource remains.

    References to them become their physical ids; outputs that refer to them are removed. Raises UnknownReference.
    """
    changed = copy.deepcopy(template)
    resources: dict[str, Resource] = {name: resource for name, resource in changed["Resources"].items() if name not in leaving}
    if not resources:
        return None
    _set_outputs(
        changed, {name: output for name, output in changed.get("Outputs", {}).items() if not references(output) & leaving.keys()}
    )
    for name, resource in resources.items():
        _remove_dependencies(resource, leaving)
        resources[name] = _replace_references(resource, leaving, name)
    return changed | {"Resources": resources}


def references(part: Any) -> set[str]:
    """Return the logical ids that a part of a template refers to, at any depth."""
    if isinstance(part, list):
        return {name for item in part for name in references(item)}
    if not isinstance(part, dict):
        return set()
    logical_ids = {name for value in part.values() for name in references(value)}
    if isinstance(named := part.get("Ref"), str):
        logical_ids.add(named)
    if "Fn::GetAtt" in part:
        logical_ids.add(_attribute(part["Fn::GetAtt"])[0])
    if "Fn::Sub" in part:
        text = part["Fn::Sub"] if isinstance(part["Fn::Sub"], str) else part["Fn::Sub"][0]
        logical_ids |= {name.split(".")[0] for name in _VARIABLE.findall(text)}
    return logical_ids


def secret_outputs(template: Template) -> list[str]:
    """Return the outputs with a secret key or a password, which everybody can read who may describe the stack."""
    return sorted(name for name, output in template.get("Outputs", {}).items() if _shows_secret(name, output))


def _shows_secret(name: str, output: Any) -> bool:
    return name.startswith(("SecretAccessKey", "Password")) or _holds_secret(output.get("Value"))


def _holds_secret(part: Any) -> bool:
    if isinstance(part, dict):
        if "Fn::GetAtt" in part and _attribute(part["Fn::GetAtt"])[1] == _SECRET:
            return True
        if _SECRET in str(part.get("Fn::Sub", "")):
            return True
        return any(_holds_secret(value) for value in part.values())
    return isinstance(part, list) and any(_holds_secret(item) for item in part)


def _set_outputs(template: Template, outputs: dict[str, Any]) -> None:
    template.pop("Outputs", None)
    if outputs:
        template["Outputs"] = outputs


def _remove_dependencies(resource: Resource, leaving: Mapping[str, str]) -> None:
    named = resource.pop("DependsOn", [])
    if kept := [name for name in ([named] if isinstance(named, str) else named) if name not in leaving]:
        resource["DependsOn"] = kept


def _replace_references(part: Any, leaving: Mapping[str, str], where: str) -> Any:
    if isinstance(part, list):
        return [_replace_references(item, leaving, where) for item in part]
    if not isinstance(part, dict):
        return part
    if part.keys() == {"Ref"} and part["Ref"] in leaving:
        return leaving[part["Ref"]]
    inside = {key: _replace_references(value, leaving, where) for key, value in part.items()}
    if left := references(inside) & leaving.keys():
        raise UnknownReference(
            f"the resource {where}, which stays, refers to {', '.join(sorted(left))} in a way that is not understood"
        )
    return inside


def _attribute(given: Any) -> tuple[str, str]:
    name, _, attribute = given.partition(".") if isinstance(given, str) else (given[0], "", given[1])
    return str(name), str(attribute)

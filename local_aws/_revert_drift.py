"""Change sets with `DeploymentMode=REVERT_DRIFT`: they put back what was changed or deleted outside CloudFormation.

CloudFormation user guide, "Using drift-aware change sets".
"""

import copy
import json
from typing import Any

from ministack.services import iam
from ministack.services.cloudformation import _change_sets, _stacks, drift, handlers, stacks
from ministack.services.cloudformation.stacks import now_iso

from local_aws._changesets import EMPTY

MODE = "REVERT_DRIFT"
Drifts = dict[str, dict[str, Any]]
Change = dict[str, Any]


def install() -> None:
    """Wrap the calls that make, show and execute a change set, and the update of a resource."""
    actions = handlers._ACTION_HANDLERS
    create, describe, execute = (actions[f"{verb}ChangeSet"] for verb in ("Create", "Describe", "Execute"))
    update = actions["UpdateStack"]

    def create_change_set(parameters: dict[str, Any]) -> Any:
        before = set(_change_sets.keys())
        answer = create(parameters)
        if handlers._p(parameters, "DeploymentMode") == MODE:
            for change_set_id in set(_change_sets.keys()) - before:
                _add_drift(_change_sets[change_set_id])
        return answer

    def describe_change_set(parameters: dict[str, Any]) -> Any:
        answer = describe(parameters)
        change_set = _named(parameters)
        return answer if change_set is None or "_drifts" not in change_set else _shown(answer, change_set)

    def execute_change_set(parameters: dict[str, Any]) -> Any:
        change_set = _named(parameters)
        if change_set is not None and change_set["ExecutionStatus"] == "AVAILABLE":
            _revert(change_set)
        return execute(parameters)

    def update_stack(parameters: dict[str, Any]) -> Any:
        if (stack := handlers._resolve_stack(handlers._p(parameters, "StackName"))) is not None and not _is_busy(stack):
            stack.pop("_reverting", None)
        return update(parameters)

    actions |= {
        "UpdateStack": update_stack,
        "CreateChangeSet": create_change_set,
        "DescribeChangeSet": describe_change_set,
        "ExecuteChangeSet": execute_change_set,
    }
    _revert_on_update()


def _named(parameters: dict[str, Any]) -> dict[str, Any] | None:
    name, stack = (handlers._p(parameters, key) for key in ("ChangeSetName", "StackName"))
    found = handlers._resolve_stack(stack) if stack else None
    for change_set in _change_sets.values():
        if change_set["ChangeSetId"] == name:
            return change_set  # type: ignore[no-any-return]
        if change_set["ChangeSetName"] == name and found and change_set["StackName"] == found["StackName"]:
            return change_set  # type: ignore[no-any-return]
    return None


def _is_busy(stack: dict[str, Any]) -> bool:
    return str(stack["StackStatus"]).endswith("_IN_PROGRESS")


def _revert(change_set: dict[str, Any]) -> None:
    """Note for the update that follows what it starts from: the planned resources, as they are now."""
    stack = _stacks.get(change_set["StackName"])
    if stack is not None:
        planned = change_set.get("_drifts", {})
        stack["_reverting"] = {name: one for name, one in _drifts(stack).items() if name in planned} if planned else {}


def _revert_on_update() -> None:
    """Have the update of a drifted resource start from what is there, and not from what the stack last put there."""
    update = stacks._update_resource

    def update_resource(
        resource_type: str,
        physical_id: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack_name: str,
        logical_id: str,
        attributes: dict[str, Any] | None = None,
    ) -> Any:
        drifted = _stacks[stack_name].get("_reverting", {}).pop(logical_id, None)
        if drifted is None:
            return update(resource_type, physical_id, old, new, stack_name, logical_id, attributes)
        if drifted["StackResourceDriftStatus"] == "DELETED":
            return stacks._provision_resource(resource_type, logical_id, new, stack_name)
        actual = {**old, **drifted["Actual"]}
        return update(resource_type, physical_id, actual, new, stack_name, logical_id, attributes)

    stacks._update_resource = update_resource


def _drifts(stack: dict[str, Any]) -> Drifts:
    """The stack's resources that are not as its template says, by logical id."""
    found: Drifts = {}
    for logical_id, record in stack["_resources"].items():
        if drift.supports_drift(record["ResourceType"]):
            one = drift.detect_resource_drift(stack, logical_id, record, now_iso())
            if one["StackResourceDriftStatus"] in ("MODIFIED", "DELETED"):
                found[logical_id] = {**one, "Actual": _actual(one)}
        elif _went_with_its_user(record):
            found[logical_id] = {"StackResourceDriftStatus": "DELETED"}
    return found


def _actual(one: dict[str, Any]) -> dict[str, Any]:
    """The properties that differ, as they are; one that is not there at all is None."""
    if one["StackResourceDriftStatus"] == "DELETED":
        return {}
    names = {difference["PropertyPath"].split("/")[1] for difference in one["PropertyDifferences"]}
    actual = json.loads(one["ActualProperties"])
    return {name: actual.get(name) for name in names}


def _went_with_its_user(record: dict[str, Any]) -> bool:
    """Whether this is an access key of a user that is gone; AWS reports no drift for keys themselves."""
    return (
        record["ResourceType"] == "AWS::IAM::AccessKey"
        and record["PhysicalResourceId"] not in iam._access_keys
        and record["Properties"]["UserName"] not in iam._users
    )


def _add_drift(change_set: dict[str, Any]) -> None:
    """List what drifted, and what depends on it, among the changes; the change set can then be executed."""
    stack = _stacks.get(change_set["StackName"])
    change_set["_drifts"] = {}
    if stack is None or change_set["ChangeSetType"] != "UPDATE":
        return
    definitions = change_set["_template"].get("Resources", {})
    drifts = {name: one for name, one in _drifts(stack).items() if name in definitions}
    changes = {change["ResourceChange"]["LogicalResourceId"]: change for change in change_set["Changes"]}
    for logical_id, one in drifts.items():
        changes[logical_id] = _change(stack, logical_id, one, changes.get(logical_id))
    again = dict.fromkeys((name for name, one in drifts.items() if one["StackResourceDriftStatus"] == "DELETED"), "Conditional")
    for logical_id in sorted(definitions.keys() & stack["_resources"].keys() - changes.keys()):
        found = stacks._reference_details(definitions[logical_id], again, ())
        if details := [detail for details in found.values() for detail in details]:
            changes[logical_id] = _modification(stack, logical_id, details)
    change_set["Changes"] = list(changes.values())
    change_set["_drifts"] = {name: one["StackResourceDriftStatus"] for name, one in drifts.items()}
    if changes and change_set["StatusReason"].startswith(EMPTY):
        change_set |= {"Status": "CREATE_COMPLETE", "ExecutionStatus": "AVAILABLE", "StatusReason": ""}


def _change(stack: dict[str, Any], logical_id: str, one: dict[str, Any], planned: Change | None) -> Change:
    if one["StackResourceDriftStatus"] == "DELETED":
        kind = stack["_resources"][logical_id]["ResourceType"]
        return {"ResourceChange": {"Action": "Add", "LogicalResourceId": logical_id, "ResourceType": kind}}
    details: list[dict[str, Any]] = [
        {
            "Target": {"Attribute": "Properties", "Name": name, "RequiresRecreation": "Never"},
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        }
        for name in sorted(one["Actual"])
    ]
    if planned is None:
        return _modification(stack, logical_id, details)
    merged = copy.deepcopy(planned)
    held = merged["ResourceChange"]["Details"]
    named = {detail["Target"].get("Name") for detail in held}
    held += [detail for detail in details if detail["Target"]["Name"] not in named]
    return merged


def _modification(stack: dict[str, Any], logical_id: str, details: list[dict[str, Any]]) -> Change:
    record = stack["_resources"][logical_id]
    return {
        "ResourceChange": {
            "Action": "Modify",
            "LogicalResourceId": logical_id,
            "ResourceType": record["ResourceType"],
            "PhysicalResourceId": record["PhysicalResourceId"],
            "Replacement": stacks._replacement(details, False),
            "Scope": ["Properties"],
            "Details": details,
        }
    }


def _shown(answer: tuple[int, Any, bytes], change_set: dict[str, Any]) -> tuple[int, Any, bytes]:
    """The answer of DescribeChangeSet with the members that only a drift-aware change set has."""
    status, headers, body = answer
    drifts = change_set["_drifts"]
    text = body.decode()
    for logical_id, state in drifts.items():
        member = f"<LogicalResourceId>{logical_id}</LogicalResourceId>"
        text = text.replace(member, f"{member}<ResourceDriftStatus>{state}</ResourceDriftStatus>")
    mode = f"<DeploymentMode>{MODE}</DeploymentMode><StackDriftStatus>{'DRIFTED' if drifts else 'IN_SYNC'}</StackDriftStatus>"
    return status, headers, text.replace("</DescribeChangeSetResult>", f"{mode}</DescribeChangeSetResult>").encode()

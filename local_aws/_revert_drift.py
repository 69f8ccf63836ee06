"""Change sets with `DeploymentMode=REVERT_DRIFT`: they restore what was changed or deleted outside CloudFormation.

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
    held = handlers._resolve_stack(stack) if stack else None
    for change_set in _change_sets.values():
        if change_set["ChangeSetId"] == name:
            return change_set  # type: ignore[no-any-return]
        if change_set["ChangeSetName"] == name and held and change_set["StackName"] == held["StackName"]:
            return change_set  # type: ignore[no-any-return]
    return None


def _is_busy(stack: dict[str, Any]) -> bool:
    return str(stack["StackStatus"]).endswith("_IN_PROGRESS")


def _revert(change_set: dict[str, Any]) -> None:
    """Record the starting point of the update that follows: the planned resources, as they are now."""
    stack = _stacks.get(change_set["StackName"])
    if stack is not None:
        planned = change_set.get("_drifts", {})
        stack["_reverting"] = {name: drifted for name, drifted in _drifts(stack).items() if name in planned} if planned else {}


def _revert_on_update() -> None:
    """Have the update of a drifted resource start from its actual state, not from what the stack last put there."""
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
    """Return the stack's resources that differ from its template, by logical id."""
    drifts: Drifts = {}
    for logical_id, record in stack["_resources"].items():
        if drift.supports_drift(record["ResourceType"]):
            drifted = drift.detect_resource_drift(stack, logical_id, record, now_iso())
            if drifted["StackResourceDriftStatus"] in ("MODIFIED", "DELETED"):
                drifts[logical_id] = {**drifted, "Actual": _actual(drifted)}
        elif _went_with_its_user(record):
            drifts[logical_id] = {"StackResourceDriftStatus": "DELETED"}
    return drifts


def _actual(drifted: dict[str, Any]) -> dict[str, Any]:
    """Return the actual values of the properties that differ; None for a missing one."""
    if drifted["StackResourceDriftStatus"] == "DELETED":
        return {}
    names = {difference["PropertyPath"].split("/")[1] for difference in drifted["PropertyDifferences"]}
    actual = json.loads(drifted["ActualProperties"])
    return {name: actual.get(name) for name in names}


def _went_with_its_user(record: dict[str, Any]) -> bool:
    """Return whether this is an access key of a deleted user; AWS reports no drift for keys themselves."""
    return (
        record["ResourceType"] == "AWS::IAM::AccessKey"
        and record["PhysicalResourceId"] not in iam._access_keys
        and record["Properties"]["UserName"] not in iam._users
    )


def _add_drift(change_set: dict[str, Any]) -> None:
    """List drifted resources, and those that depend on them, among the changes; the change set can then be executed."""
    stack = _stacks.get(change_set["StackName"])
    change_set["_drifts"] = {}
    if stack is None or change_set["ChangeSetType"] != "UPDATE":
        return
    definitions = change_set["_template"].get("Resources", {})
    drifts = {name: drifted for name, drifted in _drifts(stack).items() if name in definitions}
    changes = {change["ResourceChange"]["LogicalResourceId"]: change for change in change_set["Changes"]}
    for logical_id, drifted in drifts.items():
        changes[logical_id] = _change(stack, logical_id, drifted, changes.get(logical_id))
    again = dict.fromkeys(
        (name for name, drifted in drifts.items() if drifted["StackResourceDriftStatus"] == "DELETED"), "Conditional"
    )
    for logical_id in sorted(definitions.keys() & stack["_resources"].keys() - changes.keys()):
        references = stacks._reference_details(definitions[logical_id], again, ())
        if details := [detail for details in references.values() for detail in details]:
            changes[logical_id] = _modification(stack, logical_id, details)
    change_set["Changes"] = list(changes.values())
    change_set["_drifts"] = {name: drifted["StackResourceDriftStatus"] for name, drifted in drifts.items()}
    if changes and change_set["StatusReason"].startswith(EMPTY):
        change_set |= {"Status": "CREATE_COMPLETE", "ExecutionStatus": "AVAILABLE", "StatusReason": ""}


def _change(stack: dict[str, Any], logical_id: str, drifted: dict[str, Any], planned: Change | None) -> Change:
    if drifted["StackResourceDriftStatus"] == "DELETED":
        kind = stack["_resources"][logical_id]["ResourceType"]
        return {"ResourceChange": {"Action": "Add", "LogicalResourceId": logical_id, "ResourceType": kind}}
    details: list[dict[str, Any]] = [
        {
            "Target": {"Attribute": "Properties", "Name": name, "RequiresRecreation": "Never"},
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        }
        for name in sorted(drifted["Actual"])
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
    """Return the answer of DescribeChangeSet with the members that only a drift-aware change set has."""
    status, headers, body = answer
    drifts = change_set["_drifts"]
    text = body.decode()
    for logical_id, state in drifts.items():
        member = f"<LogicalResourceId>{logical_id}</LogicalResourceId>"
        text = text.replace(member, f"{member}<ResourceDriftStatus>{state}</ResourceDriftStatus>")
    mode = f"<DeploymentMode>{MODE}</DeploymentMode><StackDriftStatus>{'DRIFTED' if drifts else 'IN_SYNC'}</StackDriftStatus>"
    return status, headers, text.replace("</DescribeChangeSetResult>", f"{mode}</DescribeChangeSetResult>").encode()

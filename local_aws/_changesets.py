"""A change set that changes outputs alone can be executed, as on AWS; ministack calls it empty and refuses it."""

from typing import Any

from ministack.services.cloudformation import _change_sets, _stacks, handlers

EMPTY = "The submitted information didn't contain changes"


def accept_output_changes() -> None:
    """Make a new change set executable where its outputs differ from those of the stack's present template."""
    create = handlers._ACTION_HANDLERS["CreateChangeSet"]

    def create_change_set(parameters: dict[str, Any]) -> Any:
        before = set(_change_sets.keys())
        answer = create(parameters)
        for change_set_id in set(_change_sets.keys()) - before:
            _mend(_change_sets[change_set_id])
        return answer

    handlers._ACTION_HANDLERS["CreateChangeSet"] = create_change_set


def _mend(change_set: dict[str, Any]) -> None:
    stack = next((stack for stack in _stacks.values() if stack.get("StackId") == change_set["StackId"]), None)
    if stack is None or not change_set["StatusReason"].startswith(EMPTY):
        return
    if change_set["_template"].get("Outputs") != stack.get("_template", {}).get("Outputs"):
        change_set |= {"Status": "CREATE_COMPLETE", "ExecutionStatus": "AVAILABLE", "StatusReason": ""}

"""CloudFormation's validation of change sets before they can be executed; ministack validates only what is executed.

CloudFormation user guide, "Validate stack deployments": a resource whose name exists already in the account, or a property that its
type does not have, ends the change set as FAILED, and DescribeEvents tells of each. What another account has is met only when the
bucket is made: the guide speaks of the account's own resources.
"""

from collections.abc import Callable
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import s3
from ministack.services.cloudformation import _change_sets, _stacks, changesets, handlers, stacks

Handler = Callable[[dict[str, Any]], Any]
Found = tuple[str, str, str, str, str]

BUCKET = "AWS::S3::Bucket"
CONFLICT = "NAME_CONFLICT_VALIDATION"
# What the change set's reason calls each validation.
CALLED = {
    CONFLICT: "AWS::EarlyValidation::ResourceExistenceCheck",
    "PROPERTY_VALIDATION": "AWS::EarlyValidation::PropertyValidation",
}
FAILED = (
    "The following hook(s)/validation failed: [{names}]. "
    "To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
)


def install() -> None:
    """Wrap ministack's actions, after all others that change a new change set."""
    actions = handlers._ACTION_HANDLERS
    actions["CreateChangeSet"] = _validating(actions["CreateChangeSet"])
    actions["ExecuteChangeSet"] = _where_valid(actions["ExecuteChangeSet"])
    actions["DescribeEvents"] = _of_change_sets_too(actions["DescribeEvents"])


def _validating(create: Handler) -> Handler:
    def create_change_set(parameters: dict[str, Any]) -> Any:
        before = set(_change_sets.keys())
        answer = create(parameters)
        for change_set_id in set(_change_sets.keys()) - before:
            _validate(_change_sets[change_set_id])
        return answer

    return create_change_set


def _validate(change_set: dict[str, Any]) -> None:
    if change_set["Status"] != "CREATE_COMPLETE" or change_set["ChangeSetType"] == "IMPORT" or change_set["_disable_validation"]:
        return
    stack = next(stack for stack in _stacks.values() if stack.get("StackId") == change_set["StackId"])
    errors = _errors(change_set, stack)
    # What is executed was validated: what fails from now on, fails as a resource.
    change_set["_disable_validation"] = True
    if not errors:
        return
    names = ", ".join(sorted({CALLED[validation] for _, _, validation, _, _ in errors}))
    change_set |= {"Status": "FAILED", "ExecutionStatus": "UNAVAILABLE", "StatusReason": FAILED.format(names=names)}
    change_set["_operation_events"] = _events(change_set["StackId"], errors)


def _errors(change_set: dict[str, Any], stack: dict[str, Any]) -> list[Found]:
    template, values = change_set["_template"], change_set["_resolved_params"]
    resources = template.get("Resources", {})
    held = stack.get("_resources", {}).values()
    owned = frozenset(record.get("PhysicalResourceId") for record in held if record.get("ResourceType") == BUCKET)
    errors = stacks._validation_errors(
        resources,
        list(resources),
        values,
        changesets._evaluate_conditions(template, values),
        template.get("Mappings", {}),
        stack["StackName"],
        stack["StackId"],
        owned,
    )
    return [
        error for error in errors if error[0] not in change_set["_import_existing"] and (error[2] != CONFLICT or _is_own(error))
    ]


def _is_own(conflict: Found) -> bool:
    """Return whether the bucket that a conflict names is this account's."""
    return any(f"'{bucket}'" in conflict[4] for bucket in s3._buckets)


def _events(stack_id: str, errors: list[Found]) -> list[dict[str, Any]]:
    operation = new_uuid()
    return [
        stacks._operation_event(
            stack_id,
            operation,
            "VALIDATION_ERROR",
            "CREATE_CHANGESET",
            LogicalResourceId=logical_id,
            ResourceType=resource_type,
            ValidationFailureMode="FAIL",
            ValidationName=validation,
            ValidationStatus="FAILED",
            ValidationStatusReason=reason,
            ValidationPath=path,
        )
        for logical_id, resource_type, validation, path, reason in errors
    ]


def _where_valid(execute: Handler) -> Handler:
    def execute_change_set(parameters: dict[str, Any]) -> Any:
        name = handlers._p(parameters, "ChangeSetName")
        _, change_set = changesets._find_change_set(name, handlers._p(parameters, "StackName"))
        if change_set is None or change_set["Status"] != "FAILED":
            return execute(parameters)
        reason = f"ChangeSet [{change_set['ChangeSetId']}] cannot be executed in its current status of [FAILED]"
        return handlers._error("InvalidChangeSetStatus", reason)

    return execute_change_set


def _of_change_sets_too(describe: Handler) -> Handler:
    def describe_events(parameters: dict[str, Any]) -> Any:
        name = handlers._p(parameters, "ChangeSetName")
        if not name:
            return describe(parameters)
        _, change_set = changesets._find_change_set(name, handlers._p(parameters, "StackName"))
        if change_set is None:
            return handlers._error("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)
        events = change_set.get("_operation_events", [])
        members = "".join(f"<member>{_written(event)}</member>" for event in events)
        result = f"<DescribeEventsResult><OperationEvents>{members}</OperationEvents></DescribeEventsResult>"
        return handlers._xml(200, "DescribeEventsResponse", result)

    return describe_events


def _written(event: dict[str, Any]) -> str:
    fields = [field for field in handlers._OPERATION_EVENT_FIELDS if event.get(field)]
    return "".join(f"<{field}>{handlers._esc(str(event[field]))}</{field}>" for field in fields)

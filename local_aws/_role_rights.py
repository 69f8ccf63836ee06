"""Rights of the stack's role, or else of the caller: checked before each type's handler runs.

One wrapper around every handler, ours included, for creation, update and removal, in roll-back and clean-up too; and around the
readers of drift detection. To be installed when every type is registered.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import drift, handlers, provisioners, stacks

from local_aws import _acting_principal, _key_lockout, _refusals
from local_aws._account_facts import EmbeddedAccount
from local_aws._stack_roles import stack_role
from local_aws.rights import actions, resources
from local_aws.rights.changes import Change, Operation, Properties, Scope

Handler = Callable[..., Any]
# The stack whose resource is being worked on, for handlers that are not told.
_stack: ContextVar[str] = ContextVar("stack", default="")
# The type, id and properties of what an update is about, for the removal that a replacement leaves for later.
_updated: ContextVar[tuple[str, str, Properties] | None] = ContextVar("updated", default=None)
# Set while somebody has asked for drift detection: it reads as whoever asks too.
_detecting: ContextVar[bool] = ContextVar("detecting", default=False)
_here = EmbeddedAccount()


def install() -> None:
    """Wrap every handler and reader, and what leads to them."""
    for kind, handler in provisioners._RESOURCE_HANDLERS.items():
        wrap: Mapping[str, Callable[[str, Handler], Handler]] = {
            "create": _creating,
            "update": _updating,
            "delete": _deleting,
            "import": _importing,
        }
        handler |= {name: wrapped(kind, handler[name]) for name, wrapped in wrap.items() if name in handler}
    for module in (provisioners, stacks):
        # Where each of ministack's functions has the stack's name.
        for name, position in (("_provision_resource", 3), ("_update_resource", 4), ("_delete_resource", 3)):
            setattr(module, name, _setting_stack(getattr(module, name), position))
    provisioners._delete_predecessor = _removing_later(provisioners._delete_predecessor)
    _reading()


def _creating(kind: str, create: Handler) -> Handler:
    def decided(logical_id: str, properties: Any, stack: str, *more: Any) -> Any:
        _decide(kind, "create", stack, properties, logical_id=logical_id)
        return create(logical_id, properties, stack, *more)

    return decided


def _updating(kind: str, update: Handler) -> Handler:
    def decided(physical_id: str, old: Any, new: Any, stack: str, *more: Any) -> Any:
        if any(old.get(name) != new.get(name) for name in _replacing(kind)):
            _decide(kind, "create", stack, new, logical_id=more[0] if more else physical_id)
        else:
            _decide(kind, "update", stack, new, before=old, physical_id=physical_id)
        token = _updated.set((kind, physical_id, old))
        try:
            return update(physical_id, old, new, stack, *more)
        finally:
            _updated.reset(token)

    return decided


def _deleting(kind: str, delete: Handler) -> Handler:
    def decided(physical_id: str, properties: Any, *more: Any) -> Any:
        _decide(kind, "delete", _stack.get(), properties or {}, physical_id=physical_id)
        return delete(physical_id, properties, *more)

    return decided


def _importing(kind: str, take: Handler) -> Handler:
    def decided(identifier: Any) -> Any:
        _decide(kind, "read", _stack.get(), identifier, physical_id=str(next(iter(identifier.values()), "")))
        return take(identifier)

    return decided


def _removing_later(delete_predecessor: Handler) -> Handler:
    """Check the removal of a replaced resource, done at the stack's end by a function that has no handler around it."""

    def decided(delete: Handler, *arguments: Any, **named: Any) -> Any:
        replaced, stack = _updated.get(), _stack.get()

        def delete_decided(*arguments: Any, **named: Any) -> Any:
            if replaced is not None:
                kind, physical_id, properties = replaced
                _decide(kind, "delete", stack, properties, physical_id=physical_id)
            return delete(*arguments, **named)

        return delete_predecessor(delete_decided, *arguments, **named)

    return decided


def _setting_stack(function: Handler, position: int) -> Handler:
    def told(*arguments: Any, **named: Any) -> Any:
        with _working_on(arguments[position] or ""):
            return function(*arguments, **named)

    return told


def _reading() -> None:
    for kind, (read, supported) in list(drift._DRIFT_READERS.items()):
        drift._DRIFT_READERS[kind] = (_reading_one(kind, read), supported)
    detect = drift.detect_resource_drift

    def detect_drift(stack: dict[str, Any], *more: Any) -> Any:
        with _working_on(stack["StackName"]):
            return detect(stack, *more)

    drift.detect_resource_drift = detect_drift
    for name in ("DetectStackDrift", "DetectStackResourceDrift"):
        handlers._ACTION_HANDLERS[name] = _as_whoever_asks(handlers._ACTION_HANDLERS[name])


def _reading_one(kind: str, read: Handler) -> Handler:
    def decided(physical_id: str, properties: Any) -> Any:
        _decide(kind, "read", _stack.get(), properties, physical_id=physical_id)
        return read(physical_id, properties)

    return decided


def _as_whoever_asks(detect: Handler) -> Handler:
    def detected(parameters: dict[str, Any]) -> Any:
        token = _detecting.set(True)
        try:
            return detect(parameters)
        finally:
            _detecting.reset(token)

    return detected


@contextmanager
def _working_on(stack: str) -> Iterator[None]:
    token = _stack.set(stack)
    try:
        yield
    finally:
        _stack.reset(token)


def _decide(
    kind: str,
    operation: Operation,
    stack: str,
    properties: Properties,
    *,
    before: Properties | None = None,
    physical_id: str = "",
    logical_id: str = "",
) -> None:
    """Raise Refused where AWS would refuse."""
    role = stack_role(stack)
    # No document says as whom a stack with a role is read, and both answers have been seen: whoever asks, and the role.
    principals = [_acting_principal.role_principal(role)] if role else []
    if not role or _detecting.get():
        principals.append(_acting_principal.caller_principal())
    scope = Scope(get_account_id(), get_region(), role, _here)
    change = Change(kind, operation, scope, properties, before or {}, physical_id, logical_id, stack)
    for principal in principals:
        _decide_for(principal, change)


def _decide_for(principal: _acting_principal.Principal, change: Change) -> None:
    if change.kind == _key_lockout.KEY:
        _key_lockout.check(principal, change)
    if principal.is_root:
        return
    try:
        checks = resources.all_checks(change)
    except actions.UnknownType as error:
        raise _refusals.Refused(str(error)) from error
    # A new key's policy already counts for what is done to the key while it is made.
    policy = change.properties.get("KeyPolicy") if change.kind == _key_lockout.KEY and change.operation == "create" else None
    for check in checks:
        tags = dict(check.tags) if check.tags is not None else _here.tags(check.resource)
        denied = _acting_principal.refusal(principal, check, tags, None if check.resource == "*" else policy)
        if denied is not None:
            raise _refusals.resource_refusal(change.kind, denied)


def _replacing(kind: str) -> frozenset[str]:
    """Return the properties whose change replaces the resource.

    None for an unknown type, of which every change is an update; only the account itself gets that far.
    """
    try:
        return actions.replacing_properties(kind)
    except actions.UnknownType:
        return frozenset()

"""What CloudFormation, and whoever looks for drift, is asked for everything of ours, and what of it is refused.

The questions are those that the embedded AWS asks (`local_aws.rights`); the answers come from an IAM simulator.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from local_aws.rights import actions, resources
from local_aws.rights.changes import Change, Operation
from tests.stacks.simulation import UNCHECKED, Call, Question, decide_all, reference
from tests.stacks.simulation.deployed import Account, Resource

OPERATIONS: tuple[Operation, ...] = ("create", "read", "update", "delete")
KEY = "AWS::KMS::Key"
# What no update of ours ever touches, and what it changes without ever taking it away.
CONSTANT = {
    "AWS::EC2::VPCGatewayAttachment": {"InternetGatewayId"},
    "AWS::IAM::Group": {"Path"},
    "AWS::IAM::Role": {"PermissionsBoundary"},
    "AWS::IAM::User": {"Path", "PermissionsBoundary"},
    "AWS::KMS::Alias": {"TargetKeyId"},
    "AWS::KMS::Key": {"BypassPolicyLockoutSafetyCheck", "KeyPolicy"},
    "AWS::SNS::TopicPolicy": {"Topics"},
}
NEVER_WITHOUT = {
    "AWS::AutoScaling::AutoScalingGroup": {"LaunchTemplate"},
    "AWS::Backup::BackupPlan": {"BackupPlan"},
    "AWS::Backup::BackupVault": {"LockConfiguration"},
    "AWS::CloudFormation::Stack": {"Parameters", "TemplateURL"},
    "AWS::IAM::Role": {"AssumeRolePolicyDocument"},
    "AWS::KMS::Key": {"EnableKeyRotation"},
    "AWS::Logs::LogGroup": {"RetentionInDays"},
    "AWS::S3::BucketPolicy": {"PolicyDocument"},
}
KEY_ALIASES = {"kms:ResourceAliases": ["alias/cohort-backups"]}
# Of these kinds an action is asked on the one that there is: the reference marks each as required (Elastic Load Balancing).
ALTERNATIVES = frozenset({"listener/app", "listener/gwy", "listener/net"})


class Asked(NamedTuple):
    """One question about one change."""

    change: Change
    call: Call


def changes(account: Account, operation: Operation) -> Iterator[Change]:
    """Every change of this kind to each resource; of an update, each way that its properties can go."""
    for resource in account.resources:
        if operation == "delete" and resource.deletion_policy == "Retain":
            # Whatever becomes of its stack, it stays.
            continue
        if operation == "update":
            yield from _updates(resource)
        else:
            yield _change(resource, operation, resource.properties)


def _updates(one: Resource) -> Iterator[Change]:
    """From as little as there can be of it to what it is, and back."""
    constant = {*actions.replacing_properties(one.kind), *CONSTANT.get(one.kind, ())}
    before = {name: value for name, value in one.properties.items() if name in constant}
    after = {name: value for name, value in one.properties.items() if name in constant | NEVER_WITHOUT.get(one.kind, set())}
    if before != one.properties:
        yield _change(one, "update", one.properties, before)
    if after != one.properties:
        yield _change(one, "update", after, one.properties)


def _change(one: Resource, operation: Operation, wanted: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> Change:
    there = "" if operation == "create" else one.physical_id
    return Change(one.kind, operation, one.place, wanted, before or {}, there, one.logical_id, one.stack)


def asked(account: Account, *operations: Operation) -> Iterator[Asked]:
    """Everything that is asked for these operations on all that the account holds."""
    for operation in operations:
        for change in changes(account, operation):
            for check in resources.all_checks(change):
                tags = dict(check.tags) if check.tags is not None else account.tags(check.resource)
                known = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
                aliases = KEY_ALIASES if check.action.startswith("kms:") and ":key/" in check.resource else {}
                yield Asked(change, Call(check.action, check.resource, {**check.context, **known, **aliases}))
                if aliases and operation == "create":
                    # A key's tags and alias may take minutes to reach authorisation (KMS developer guide, "ABAC for AWS KMS").
                    yield Asked(change, Call(check.action, check.resource, check.context))
            if change.kind == KEY and operation == "create" and not change.properties.get("BypassPolicyLockoutSafetyCheck"):
                # KMS API reference, CreateKey: the caller can change the key's policy afterwards.
                yield Asked(change, Call("kms:PutKeyPolicy", account.place.arn("kms", f"key/{change.logical_id}")))


def missed(account: Account) -> list[str]:
    """Return where the Service Authorization Reference and the simulation differ.

    Resources that an action requires and on which it is not asked; and those on which it is asked and that the reference does not
    know.
    """
    found: set[str] = set()
    for operation in OPERATIONS:
        for change in changes(account, operation):
            on: dict[str, list[str]] = {}
            for check in resources.all_checks(change):
                on.setdefault(check.action, []).append(check.resource)
            for action, arns in on.items():
                found |= {f"{operation} {change.kind}: {action} {fault}" for fault in _faults(action, arns)}
    return sorted(found)


def _faults(action: str, arns: Sequence[str]) -> Iterator[str]:
    known = reference.find(action)
    if known is None:
        yield "does not exist"
        return
    if action in UNCHECKED:
        return
    kinds = [reference.kinds_of(action.partition(":")[0], arn.replace("*", "0")) if arn != "*" else set() for arn in arns]
    asked_on = {kind for item in kinds for kind in item}
    required = known.required - (ALTERNATIVES if asked_on & ALTERNATIVES else set())
    yield from (f"is not asked on its {kind}" for kind in required - asked_on)
    for arn, one in zip(arns, kinds, strict=True):
        if (arn == "*") != (not known.kinds) or (one and not one & known.kinds):
            yield f"is asked on {arn}"


def unknown_keys(questions: Sequence[Asked]) -> list[str]:
    """Condition keys that calls carry and that their actions do not know."""
    return sorted(
        {
            f"{question.call.action} {key}"
            for question in questions
            if (known := reference.find(question.call.action))
            for key in question.call.context
            if not key.startswith(("aws:ResourceTag/", "kms:ResourceAliases")) and not reference.has_key(known, key)
        }
    )


class Actor(NamedTuple):
    """Who asks, with their policies and their boundary."""

    principal: str
    policies: Mapping[str, Any]
    boundary: Any = None


def refused(questions: Sequence[Asked], actor: Actor) -> list[str]:
    """What this actor may not do, each as a line that says for which resource."""
    answers = decide_all([Question(question.call, actor.policies, actor.boundary, None, actor.principal) for question in questions])
    return sorted({_line(one) for one, allowed in zip(questions, answers, strict=True) if not allowed})


def _line(one: Asked) -> str:
    action, resource, context = one.call
    return f"{one.change.operation} {one.change.kind}: {action} on {resource} {dict(context) or ''}".strip()


def unguarded(template: Mapping[str, Any]) -> list[str]:
    """What guards something that is kept and would itself be deleted: a bucket's policy, a key's alias."""
    held = template["Resources"]
    kept = {name for name, one in held.items() if one.get("DeletionPolicy", "Delete") != "Delete"}
    guards = {"AWS::S3::BucketPolicy": "Bucket", "AWS::KMS::Alias": "TargetKeyId"}
    return [
        name
        for name, one in held.items()
        if one["Type"] in guards and name not in kept and _names(one["Properties"][guards[one["Type"]]], kept)
    ]


def _names(reference: Any, wanted: set[str]) -> bool:
    named = reference.get("Ref") or reference.get("Fn::GetAtt", [""])[0]
    return named in wanted

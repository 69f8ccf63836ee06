"""The principal CloudFormation acts as, and its permissions: a stack's role, or else the caller of the request.

A role's policies are parsed once for each of their versions: a stack asks some hundred times.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext, ParsedStatement, PrincipalInfo
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, sts

from local_aws.rights.permission_check import PermissionCheck

SERVICE = "cloudformation.amazonaws.com"
# The name of the sessions that CloudFormation opens.
SESSION = "AWSCloudFormation"
IDENTITY, BOUNDARY, SESSION_POLICY = "identity-based policy", "permissions boundary", "session policy"


@dataclass(frozen=True)
class Denied:
    """A refusal, and AWS's words for the reason."""

    check: PermissionCheck
    principal: str
    why: str


@dataclass
class PolicyLayer:
    """One kind of policy of a principal: its denials hold, and without its permission nothing is allowed."""

    name: str
    statements: list[ParsedStatement]
    _by_action: dict[str, list[ParsedStatement]] = field(default_factory=dict)

    def matches(self, effect: str, context: EvalContext) -> bool:
        """Return whether a statement of this effect matches."""
        return any(
            statement.effect == effect
            and iam_evaluator._resource_matches(context.resource_arn, statement.resources, statement.not_resources)
            and iam_evaluator._conditions_met(statement.conditions, context)
            for statement in self._about(context.action)
        )

    def _about(self, action: str) -> list[ParsedStatement]:
        if action not in self._by_action:
            self._by_action[action] = [
                statement
                for statement in self.statements
                if iam_evaluator._action_matches(action, statement.actions, statement.not_actions)
            ]
        return self._by_action[action]


@dataclass
class Principal:
    """A principal with every policy that counts."""

    info: PrincipalInfo
    layers: list[PolicyLayer]
    # Condition keys of a call that CloudFormation makes in somebody's name.
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """ARN as AWS names it in a refusal."""
        return str(self.info.arn)

    @property
    def is_root(self) -> bool:
        """True for the account itself, which may do everything."""
        return self.info.policies is None


class UnknownPrincipal(ValueError):
    """The caller, or the role, does not exist any more. The message is AWS's."""


_roles: dict[str, tuple[object, Principal]] = {}


def role_principal(arn: str) -> Principal:
    """Return CloudFormation's session of a role. Raises NobodyKnown."""
    name = arn.rpartition("/")[2]
    role = iam._roles.get(name)
    if role is None or role["Arn"] != arn:
        raise UnknownPrincipal(f"Role {arn} is invalid or cannot be assumed")
    version = _version(role)
    held = _roles.get(arn)
    if held is None or held[0] != version:
        held = (version, _build_role_principal(name, role))
        _roles[arn] = held
    return held[1]


def caller_principal() -> Principal:
    """Return the caller of the request that is being carried out. Raises NobodyKnown.

    A stack's work goes on in the context of the request that began it, which holds the key whose signature was checked.
    """
    account = get_account_id()
    key = iam_evaluator._verified_key.get()
    info = iam_evaluator.resolve_principal(key, account)
    if isinstance(info, iam_evaluator.AuthError):
        raise UnknownPrincipal(info.message)
    # AWS global condition keys: what a service does in its caller's name.
    keys = {"aws:viaawsservice": "true", "aws:calledvia": [SERVICE], "aws:calledviafirst": SERVICE, "aws:calledvialast": SERVICE}
    has_session_policies = bool(info.limits) and (sts._sessions.get(key) or {}).get("SessionPolicies") is not None
    return Principal(info, _layers(info, has_session_policies), keys)


def principal_from_info(info: PrincipalInfo) -> Principal:
    """Return a principal whose policies were gathered already."""
    return Principal(info, _layers(info, has_session_policies=False))


def simulated_decision(principal: Principal, check: PermissionCheck) -> str:
    """Return the decision of IAM's simulator: `allowed`, `explicitDeny` or `implicitDeny`, by policies and limits alone."""
    context = _context(principal, check, {})
    if any(layer.matches("Deny", context) for layer in principal.layers):
        return "explicitDeny"
    return "allowed" if all(layer.matches("Allow", context) for layer in principal.layers) else "implicitDeny"


def refusal(principal: Principal, check: PermissionCheck, tags: dict[str, str], key_policy: Any = None) -> Denied | None:
    """Return AWS's refusal, or None if it would allow. `tags` are the resource's; `key_policy` that of a key not made yet."""
    if principal.is_root:
        return None
    context = _context(principal, check, tags)
    # A resource's own policy can allow too; only some services' resources carry one.
    service = check.action.partition(":")[0]
    resource_policy = (
        (key_policy, context.principal_account) if key_policy else iam_evaluator._resource_policy(service, check.resource)
    )
    for layer in principal.layers:
        if layer.matches("Deny", context):
            return Denied(check, principal.arn, f"with an explicit deny in {_with_article(layer.name)}")
    if resource_policy and iam_evaluator.evaluate_resource_policy(resource_policy[0], context).decision == "Deny":
        return Denied(check, principal.arn, "with an explicit deny in a resource-based policy")
    missing = next((layer.name for layer in principal.layers if not layer.matches("Allow", context)), None)
    if resource_policy and not _by_resource(principal, context, resource_policy, service, missing):
        return Denied(check, principal.arn, f"because no resource-based policy allows the {check.action} action")
    if missing is None or (resource_policy and _allows_itself(principal, context, resource_policy)):
        return None
    return Denied(check, principal.arn, f"because no {missing} allows the {check.action} action")


def _by_resource(
    principal: Principal, context: EvalContext, resource_policy: tuple[Any, Any], service: str, missing: str | None
) -> bool:
    """Return whether a key's policy lets the key's account decide, without which no other policy counts."""
    if missing is not None or service not in iam_evaluator._POLICY_REQUIRED or not resource_policy[0]:
        return True
    return bool(iam_evaluator.evaluate_resource_policy(resource_policy[0], context).decision == "Allow")


def _allows_itself(principal: Principal, context: EvalContext, resource_policy: tuple[Any, Any]) -> bool:
    """Return whether the resource's policy names this principal, and every limit allows it."""
    named = iam_evaluator.evaluate_resource_policy(resource_policy[0], context, named_only=True).decision == "Allow"
    return named and all(layer.matches("Allow", context) for layer in principal.layers[1:])


def _context(principal: Principal, check: PermissionCheck, tags: dict[str, str]) -> EvalContext:
    prefix = check.action.partition(":")[0]
    keys = {key.lower(): value for key, value in check.context.items()}
    keys.setdefault("aws:tagkeys", None)
    for name, value in tags.items():
        for place in ("aws", prefix):
            keys.setdefault(f"{place}:resourcetag/{name}".lower(), value)
    return EvalContext(
        principal_arn=principal.info.arn,
        principal_type=principal.info.type,
        principal_account=principal.info.account,
        action=check.action,
        resource_arn=check.resource,
        region=get_region(),
        source_ip=SERVICE,
        secure_transport=True,
        service_context=keys,
        principal_keys={**principal.info.keys, **principal.keys},
    )


def _build_role_principal(name: str, role: dict[str, Any]) -> Principal:
    account = get_account_id()
    info = PrincipalInfo(
        arn=f"arn:aws:sts::{account}:assumed-role/{name}/{SESSION}",
        type="AssumedRole",
        account=account,
        policies=iam_evaluator._gather_role_policies(name, account),
        keys={
            "aws:userid": f"{role['RoleId']}:{SESSION}",
            **{f"aws:principaltag/{tag['Key'].lower()}": tag["Value"] for tag in role.get("Tags") or []},
        },
        limits=iam_evaluator._permissions_boundary(iam._roles, name, account),
    )
    return Principal(info, _layers(info, has_session_policies=False))


def _layers(info: PrincipalInfo, has_session_policies: bool) -> list[PolicyLayer]:
    """Return identity policies first, then what limits them: a boundary, and what a session was opened with."""
    limits = [_flatten(limit) for limit in info.limits]
    session = [PolicyLayer(SESSION_POLICY, limits.pop())] if has_session_policies else []
    return [PolicyLayer(IDENTITY, _flatten(info.policies or [])), *(PolicyLayer(BOUNDARY, limit) for limit in limits), *session]


def _flatten(policies: list[list[ParsedStatement]]) -> list[ParsedStatement]:
    return [statement for policy in policies for statement in policy]


def _with_article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _version(role: dict[str, Any]) -> object:
    """Return a value that changes with anything that decides what a role may do."""
    attached = list(role.get("AttachedPolicies") or [])
    boundary = role.get("PermissionsBoundary")
    return (
        role["RoleId"],
        str(role.get("InlinePolicies")),
        boundary,
        tuple(_documents([*attached, *([boundary] if boundary else [])])),
        str(role.get("Tags")),
    )


def _documents(arns: list[str]) -> Iterator[tuple[str, str]]:
    for arn in arns:
        document = iam_evaluator._resolve_managed_policy_document(arn, get_account_id())
        yield arn, document if isinstance(document, str) else str(document)

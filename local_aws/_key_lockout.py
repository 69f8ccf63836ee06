"""KMS's refusal of a key whose maker could not manage it afterwards.

KMS API reference, CreateKey, "BypassPolicyLockoutSafetyCheck": the key policy must let the caller call PutKeyPolicy on the key; and
PutKeyPolicy itself, of the same. AWS's knowledge centre, "update-key-policy-future": the caller's own policies count too.
"""

from local_aws import _acting_principal, _refusals
from local_aws.rights.changes import Change
from local_aws.rights.permission_check import PermissionCheck

KEY = "AWS::KMS::Key"
MESSAGE = "The new key policy will not allow you to update the key policy in the future."
PUT = "kms:PutKeyPolicy"


def check(principal: _acting_principal.Principal, change: Change) -> None:
    """Refuse a key, or a key's new policy, that locks out the principal CloudFormation acts for. Raises Refused."""
    if change.operation not in ("create", "update") or not change.touches("KeyPolicy") or _is_bypassed(change):
        return
    key = change.scope.arn("kms", f"key/{change.physical_id or '11111111-2222-3333-4444-555555555555'}")
    if _acting_principal.refusal(principal, PermissionCheck(PUT, key), change.tags, change.properties["KeyPolicy"]) is not None:
        raise _refusals.handler_refusal(MESSAGE, "kms", 400, "InvalidRequest")


def _is_bypassed(change: Change) -> bool:
    return str(change.properties.get("BypassPolicyLockoutSafetyCheck", False)).lower() == "true"

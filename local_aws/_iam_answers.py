"""Refusals of IAM and Secrets Manager that ministack leaves out or words in its own way: as recorded from AWS.

The recordings are in `tests/data/aws-recorded.json`, and `tests/local_aws/recorded.py` asks for each.
"""

import json
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import iam, secretsmanager

Act = Callable[[dict[str, Any]], Any]
ATTACHING = ("AttachRolePolicy", "AttachUserPolicy", "AttachGroupPolicy")
ASKING = ("GetPolicy", "DeletePolicy", "ListPolicyVersions", "ListEntitiesForPolicy")
WAITS = "You can't create this secret because a secret with this name is already scheduled for deletion."


def install() -> None:
    """Install the refusals."""
    for name in ATTACHING:
        iam._IAM_HANDLERS[name] = _refuse_missing(iam._IAM_HANDLERS[name], "Policy {} does not exist or is not attachable.")
    for name in ASKING:
        iam._IAM_HANDLERS[name] = _refuse_missing(iam._IAM_HANDLERS[name], "Policy {} was not found.")
    iam._IAM_HANDLERS["CreateRole"] = _create_role(iam._IAM_HANDLERS["CreateRole"])
    create: Act = secretsmanager._create_secret

    def create_secret(data: dict[str, Any]) -> Any:
        if secretsmanager._secrets.get(data.get("Name"), {}).get("DeletedDate"):
            return error_response_json("InvalidRequestException", WAITS, 400)
        return create(data)

    secretsmanager._create_secret = create_secret


def _refuse_missing(act: Act, words: str) -> Act:
    """Refuse a request that names a missing policy, in these words."""

    def refuse_or_act(parameters: dict[str, Any]) -> Any:
        arn = iam._p(parameters, "PolicyArn")
        if iam._lookup_policy(arn) is None and not iam._is_aws_managed_arn(arn):
            return iam._error(404, "NoSuchEntity", words.format(arn), ns="iam")
        return act(parameters)

    return refuse_or_act


def _create_role(act: Act) -> Act:
    def refuse_or_create(parameters: dict[str, Any]) -> Any:
        try:
            json.loads(iam._p(parameters, "AssumeRolePolicyDocument"))
        except (ValueError, RecursionError):
            return iam._error(400, "MalformedPolicyDocument", "This policy contains invalid Json", ns="iam")
        return act(parameters)

    return refuse_or_create

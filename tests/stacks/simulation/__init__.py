"""IAM's decisions, by npm's `@cloud-copilot/iam-simulate`: the embedded AWS does not evaluate CloudFormation's own role."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SCRIPT = Path(__file__).parent / "simulate.mjs"
ACCOUNT = "111122223333"


class Call(NamedTuple):
    """One call on one resource, with what AWS would know of it."""

    action: str
    resource: str
    context: Mapping[str, Any] = {}


def _of_a_key(call: Call) -> Any:
    """A key is reached through its own policy alone, and CDK's leaves it to the account's policies."""
    if not (call.action.startswith("kms:") and ":key/" in call.resource):
        return None
    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": account, "Action": "kms:*", "Resource": "*"}]}


def decide(
    calls: Sequence[Call],
    policies: Mapping[str, Any],
    *,
    boundary: Any = None,
    resource_policy: Any = None,
    principal: str = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-us-east-1",
) -> list[bool]:
    """Whether a principal with these policies may make each call."""
    identity = [{"name": name, "policy": document} for name, document in policies.items()]
    simulations = [
        {
            "request": {
                "principal": principal,
                "action": call.action,
                "resource": {"resource": call.resource, "accountId": ACCOUNT},
                "contextVariables": dict(call.context),
            },
            "identityPolicies": identity,
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
            **({"permissionBoundaryPolicies": [{"name": "boundary", "policy": boundary}]} if boundary else {}),
            **({"resourcePolicy": document} if (document := resource_policy or _of_a_key(call)) else {}),
        }
        for call in calls
    ]
    done = subprocess.run(
        [shutil.which("node") or "node", str(SCRIPT)],
        input=json.dumps(simulations),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    for call, answer in zip(calls, answers, strict=True):
        assert answer["decision"] != "Error", (call, answer)
    return [answer["decision"] == "Allowed" for answer in answers]

"""IAM's decisions, by npm's `@cloud-copilot/iam-simulate`, which shares no code with the embedded AWS."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

SCRIPT = Path(__file__).parent / "simulate.mjs"
ACCOUNT = "111122223333"
LIMIT_SECONDS = 300
# Of these the simulator's copy of the Service Authorization Reference cannot tell what they are asked on: a vault's ARN fits two
# kinds of resources, and of two services named elasticloadbalancing it knows the older one's tags alone.
UNCHECKED = frozenset(
    {
        *("backup:ListTags", "backup:TagResource", "backup:UntagResource"),
        *("elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"),
    }
)


class Call(NamedTuple):
    """One call on one resource, with what AWS would know of it."""

    action: str
    resource: str
    context: Mapping[str, Any] = {}


class Question(NamedTuple):
    """Whether somebody with these policies, within this boundary, may make the call."""

    call: Call
    policies: Mapping[str, Any]
    boundary: Any = None
    resource_policy: Any = None
    principal: str = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-us-east-1"


def _of_a_key(call: Call) -> Any:
    """A key is reached through its own policy alone, and CDK's leaves it to the account's policies."""
    if not (call.action.startswith("kms:") and ":key/" in call.resource):
        return None
    account = {"AWS": f"arn:{call.resource.split(':')[1]}:iam::{ACCOUNT}:root"}
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": account, "Action": "kms:*", "Resource": "*"}]}


def about(document: Any, action: str) -> Any:
    """The statements of a policy that this action can match: with the others IAM decides the same, only slower."""
    return {**document, "Statement": [item for item in document["Statement"] if _is_about(item, action)]}


def _is_about(statement: Mapping[str, Any], action: str) -> bool:
    if "Action" not in statement:
        return True
    named = statement["Action"]
    return any(_pattern(item).fullmatch(action.lower()) for item in ([named] if isinstance(named, str) else named))


@cache
def _pattern(action: str) -> re.Pattern[str]:
    return re.compile(re.escape(action.lower()).replace(r"\*", ".*").replace(r"\?", "."))


def _simulation(question: Question) -> dict[str, Any]:
    call, boundary = question.call, question.boundary
    # Asked with an asterisk, the simulator would be content with a part of what it stands for.
    resource = call.resource if call.resource == "*" else call.resource.replace("*", "0")
    held = {name: about(document, call.action) for name, document in question.policies.items()}
    return {
        "request": {
            "principal": question.principal,
            "action": call.action,
            "resource": {"resource": resource, "accountId": ACCOUNT},
            "contextVariables": dict(call.context),
        },
        # The simulator takes no policy without a statement, and one that is not there allows as little.
        "identityPolicies": [{"name": name, "policy": document} for name, document in held.items() if document["Statement"]],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
        **({"permissionBoundaryPolicies": [{"name": "boundary", "policy": _bounding(boundary, call.action)}]} if boundary else {}),
        **({"unchecked": True} if call.action in UNCHECKED else {}),
        **({"resourcePolicy": document} if (document := question.resource_policy or _of_a_key(call)) else {}),
    }


def _bounding(boundary: Any, action: str) -> Any:
    """A boundary that says nothing of an action allows it as little as one that denies it."""
    found = about(boundary, action)
    return found if found["Statement"] else {**boundary, "Statement": boundary["Statement"][:1]}


_decided: dict[str, bool] = {}


def decide_all(questions: Sequence[Question]) -> list[bool]:
    """The answer to each question, by one run of the simulator for all that was not asked before."""
    texts = ["" if _is_silent(question) else json.dumps(_simulation(question), sort_keys=True) for question in questions]
    if wanted := [text for text in dict.fromkeys(texts) if text and text not in _decided]:
        done = subprocess.run(
            [shutil.which("node") or "node", str(SCRIPT)],
            input=f"[{','.join(wanted)}]",
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        for text, answer in zip(wanted, json.loads(done.stdout), strict=True):
            assert answer["decision"] != "Error", (json.loads(text)["request"], answer)
            _decided[text] = answer["decision"] == "Allowed"
    return [bool(text) and _decided[text] for text in texts]


def _is_silent(question: Question) -> bool:
    """Whether no policy, or no boundary, allows anything of the action at all: IAM denies that, and nobody need be asked."""
    action = question.call.action
    if question.resource_policy:
        return False
    held = [*question.policies.values()]
    return not _allows_some(held, action) or bool(question.boundary and not _allows_some([question.boundary], action))


def _allows_some(documents: Sequence[Any], action: str) -> bool:
    return any(
        statement["Effect"] == "Allow" and _is_about(statement, action)
        for document in documents
        for statement in document["Statement"]
    )


def decide(calls: Sequence[Call], policies: Mapping[str, Any], **more: Any) -> list[bool]:
    """Whether a principal with these policies (and `boundary`, `resource_policy`, `principal`) may make each call."""
    return decide_all([Question(call, policies, **more) for call in calls])

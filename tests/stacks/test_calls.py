"""Every call of AWS that the worker and the web process make is allowed to the host's role of that process, and little else is.

The calls are those of `tests/calls/listed.toml`, which each whole run of the tests is compared with.
"""

import fnmatch
from typing import Any

import pytest

from stacks import bootstrap
from stacks.site import host_policies
from tests.calls.listed import WEB, Listed, read_list
from tests.calls.unlisted import BEYOND
from tests.stacks.builders import site
from tests.stacks.simulation import ACCOUNT, Call, decide

REGION = "us-east-1"
ENTRIES = read_list()
BOUNDARY = bootstrap.host_boundary(ACCOUNT, REGION)
ROLES = {
    WEB: ("cohort-web", host_policies.web_policy(site())),
    "worker": ("cohort-host", host_policies.worker_policy(site())),
}


def role_of(process: str) -> str:
    """The resident process is the worker's own child, and runs with its role."""
    return WEB if process == WEB else "worker"


def calls_of(entry: Listed) -> list[Call]:
    filled = [resource.replace("{account}", ACCOUNT).replace("{region}", REGION) for resource in entry.resources]
    return [Call(action, resource, entry.context) for action in entry.actions for resource in filled]


@pytest.mark.parametrize("role", sorted(ROLES))
def test_each_call_of_the_process_is_allowed_to_its_role_within_the_boundary(role: str) -> None:
    name, policy = ROLES[role]
    calls = [call for entry in ENTRIES if entry.principal == "own" and role_of(entry.process) == role for call in calls_of(entry)]
    assert calls, "the list names no call of this process"
    answers = decide(calls, {name: policy}, boundary=BOUNDARY, principal=f"arn:aws:iam::{ACCOUNT}:role/cohort-host/{name}")
    assert [(call.action, call.resource) for call, allowed in zip(calls, answers, strict=True) if not allowed] == []


def allowed_patterns(policy: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for statement in policy["Statement"]:
        if statement["Effect"] == "Allow":
            actions = statement["Action"]
            found |= {actions} if isinstance(actions, str) else set(actions)
    return found


@pytest.mark.parametrize("role", sorted(ROLES))
def test_what_a_role_may_beyond_its_process_s_calls_is_short_and_explained(role: str) -> None:
    """A right that no call needs is either explained, or goes."""
    made = {
        action.lower()
        for entry in ENTRIES
        if entry.principal == "own" and role_of(entry.process) == role
        for action in entry.actions
    }
    unused = {pattern for pattern in allowed_patterns(ROLES[role][1]) if not fnmatch.filter(made, pattern.lower())}
    assert unused == set(BEYOND[role])

"""Deployments in each of their states, made as rows: what a page or a command does with them needs no engine."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.members import add_member
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.deployments.models import Deployment, DriftState, Stack
from tests.control_plane.conftest import settle

RESOURCES: list[dict[str, Any]] = [
    {
        "logical_id": "Role1",
        "type": "AWS::IAM::Role",
        "action": "change",
        "state": "done",
        "reason": "",
        "seconds": 4.2,
    },
    {"logical_id": "User2", "type": "AWS::IAM::User", "action": "add", "state": "running", "reason": "", "seconds": None},
    {"logical_id": "Key3", "type": "AWS::IAM::AccessKey", "action": "add", "state": "waiting", "reason": "", "seconds": None},
]
STAGES = {"looking": 0.2, "publishing": 0.1, "synthesising": 0.3, "preparing": 1.1, "executing": 4.0}


def plan_for(username: str) -> dict[str, Any]:
    """A member joins and another leaves, with the IAM statements that this takes."""
    return {
        "permissions": "broadening",
        "resources": [
            {"logical_id": "User2", "type": "AWS::IAM::User", "action": "add", "properties": []},
            {"logical_id": "Role1", "type": "AWS::IAM::Role", "action": "change", "properties": ["Policies"]},
            {"logical_id": "Policy1", "type": "AWS::IAM::ManagedPolicy", "action": "replace", "properties": ["Path"]},
            {"logical_id": "Old1", "type": "AWS::IAM::User", "action": "remove", "properties": []},
        ],
        "statements": [
            {
                "change": "add",
                "effect": "Allow",
                "actions": "s3:GetObject",
                "resource": "arn:aws:s3:::cohort-ephys/example-lab/*",
                "principal": "AWS:${Group}",
                "condition": "",
                "widens": True,
            },
            {
                "change": "remove",
                "effect": "Allow",
                "actions": "s3:PutObject",
                "resource": "arn:aws:s3:::cohort-video/example-lab/*",
                "principal": "AWS:${Group}",
                "condition": "StringLike s3:prefix example-lab/*",
                "widens": False,
            },
        ],
        "people": [
            {"kind": "member", "name": username, "change": "joins", "detail": "keys, serial 1", "widens": True},
            {"kind": "member", "name": "mgoneaaaaaaa", "change": "leaves", "detail": "federated", "widens": False},
            {"kind": "analysis", "name": "cohort-ephys", "change": "joins", "detail": "read-write", "widens": True},
        ],
    }


def joining(group: Group, user: User, actor: Actor, **fields: Any) -> Deployment:
    """The deployment that gives `user` access to the group, which was up to date before, with these fields."""
    settle(group.stack)
    deployment = add_member(group=group, user=user, access=Access.KEYS, actor=actor)
    Deployment.objects.filter(pk=deployment.pk).update(**fields)
    deployment.refresh_from_db()
    return deployment


def in_approval(group: Group, user: User, actor: Actor) -> Deployment:
    """The same, waiting for approval, with a plan."""
    deployment = joining(group, user, actor, state=Deployment.State.APPROVAL)
    Deployment.objects.filter(pk=deployment.pk).update(plan=plan_for(Membership.objects.get(group=group, user=user).username))
    deployment.refresh_from_db()
    return deployment


def running(group: Group, user: User, actor: Actor) -> Deployment:
    """The same, under way."""
    return joining(
        group,
        user,
        actor,
        state=Deployment.State.RUNNING,
        started_at=timezone.now() - timedelta(seconds=7),
        doing="Changing it on AWS",
        percent=50,
        attempts=1,
        resources=RESOURCES,
        stages=STAGES,
    )


def failed(group: Group, user: User, actor: Actor) -> Deployment:
    """The same, after AWS refused a resource."""
    resources = [RESOURCES[0], RESOURCES[1] | {"state": "failed", "reason": "The user name is taken."}]
    now = timezone.now()
    return joining(
        group,
        user,
        actor,
        state=Deployment.State.FAILED,
        failure="permanent",
        started_at=now - timedelta(seconds=9),
        finished_at=now,
        percent=100,
        attempts=2,
        resources=resources,
        stages=STAGES,
        error="CloudFormation could not make the user.",
        advice="AWS holds what it held before. Correct the cause, then deploy again.",
    )


def drifted(stack: Stack) -> Stack:
    """The stack, after somebody changed two things on AWS."""
    properties = [{"path": "/Policies/0", "expected": "read", "actual": "<b>everything</b>"}]
    stack.drift_state, stack.drift_checked_at = DriftState.DRIFTED, timezone.now()
    stack.drift = [
        {"what": "resource", "logical_id": "Role1", "type": "AWS::IAM::Role", "status": "changed", "properties": properties},
        {"what": "resource", "logical_id": "User2", "type": "AWS::IAM::User", "status": "deleted", "properties": []},
    ]
    stack.save()
    return stack

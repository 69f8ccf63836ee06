"""Stacks, and deployments in each of their states: what a page or a command does with them needs no engine."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from factory.declarations import LazyAttribute, LazyFunction, SelfAttribute, Sequence, SubFactory, Trait
from factory.django import DjangoModelFactory

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.members import add_member
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.deployments.models import Deployment, DriftState, Failure, Preview, Stack, Worker
from tests.actors import OPERATOR

State = Deployment.State
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


def settle(stack: Stack) -> None:
    """Record that CloudFormation has deployed all that was asked for."""
    stack.refresh_from_db()
    Deployment.objects.open().filter(stack=stack).update(state=State.SUCCEEDED)
    Stack.objects.filter(pk=stack.pk).update(deployed_generation=stack.generation, status="UPDATE_COMPLETE")
    stack.refresh_from_db()


class StackFactory(DjangoModelFactory[Stack]):
    """A stack for analysis buckets, as a row alone. A group's comes with the group."""

    class Meta:
        model = Stack

    name = Sequence(lambda number: f"Cohort-Storage-{number}")
    kind = Stack.Kind.PLATFORM
    title: Any = SelfAttribute("name")
    account = "1" * 12
    region = "us-east-1"


class DeploymentFactory(DjangoModelFactory[Deployment]):
    """A deployment of the stack's present generation, as a row alone: no change belongs to it."""

    class Meta:
        model = Deployment

    stack: Any = SubFactory(StackFactory)
    generation: Any = SelfAttribute("stack.generation")


class JoiningDeploymentFactory(DjangoModelFactory[Deployment]):
    """The deployment that gives `user` an access key in `group`, which was up to date before. It waits, unless a trait says more.

    Traits: `planned` (waits for approval, with a plan), `running`, and `failed` (AWS refused a resource).
    """

    class Meta:
        model = Deployment

    class Params:
        planned = Trait(state=State.APPROVAL)
        running = Trait(
            state=State.RUNNING,
            started_at=LazyFunction(lambda: timezone.now() - timedelta(seconds=7)),
            doing="Changing it on AWS",
            percent=50,
            attempts=1,
            resources=RESOURCES,
            stages=STAGES,
        )
        failed = Trait(
            state=State.FAILED,
            failure=Failure.PERMANENT,
            started_at=LazyAttribute(lambda deployment: deployment.finished_at - timedelta(seconds=9)),
            finished_at=LazyFunction(timezone.now),
            percent=100,
            attempts=2,
            resources=[RESOURCES[0], RESOURCES[1] | {"state": "failed", "reason": "The user name is taken."}],
            stages=STAGES,
            error="CloudFormation could not make the user.",
            advice="AWS holds what it held before. Correct the cause, then deploy again.",
        )

    actor = OPERATOR

    @classmethod
    def _create(
        cls, model_class: type[Deployment], *args: Any, group: Group, user: User, actor: Actor, **fields: Any
    ) -> Deployment:
        settle(group.stack)
        deployment = add_member(group=group, user=user, access=Access.KEYS, actor=actor)
        if fields.get("state") == State.APPROVAL:
            fields.setdefault("plan", plan_for(Membership.objects.get(group=group, user=user).username))
        Deployment.objects.filter(pk=deployment.pk).update(**fields)
        deployment.refresh_from_db()
        return deployment


class PreviewFactory(DjangoModelFactory[Preview]):
    """A preview of a change that nobody has worked out yet."""

    class Meta:
        model = Preview

    stack_name = "Group-x"
    title = "A preview"
    manifest = "{}"


class WorkerFactory(DjangoModelFactory[Worker]):
    """A worker that was there a moment ago, or at another `seen_at`."""

    class Meta:
        model = Worker

    name = Sequence(lambda number: f"worker-{number}")
    seen_at = LazyFunction(timezone.now)
    started_at: Any = SelfAttribute("seen_at")


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


def mark_drifted(stack: Stack) -> Stack:
    """Record that somebody changed two things on AWS, and return the stack."""
    properties = [{"path": "/Policies/0", "expected": "read", "actual": "<b>everything</b>"}]
    stack.drift_state, stack.drift_checked_at = DriftState.DRIFTED, timezone.now()
    stack.drift = [
        {"what": "resource", "logical_id": "Role1", "type": "AWS::IAM::Role", "status": "changed", "properties": properties},
        {"what": "resource", "logical_id": "User2", "type": "AWS::IAM::User", "status": "deleted", "properties": []},
    ]
    stack.save()
    return stack

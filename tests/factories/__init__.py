"""Rows for tests, by factory_boy: `MembershipFactory.create(group=group, keys=True)`.

What the product makes by a service is made by that service here too, so that manifests, audit events and generations fit; the rest
are plain rows. `deployed=True` settles the stack afterwards, as if CloudFormation had deployed all that was asked for. Values are
numbered, never random; whatever a test asserts, it says itself.
"""

from typing import Any

from tests.factories.deployments import (
    DeploymentFactory,
    JoiningDeploymentFactory,
    PreviewFactory,
    StackFactory,
    WorkerFactory,
    mark_drifted,
    plan_for,
    settle,
)
from tests.factories.groups import (
    AnalysisFactory,
    GrantFactory,
    GroupFactory,
    JoinRequestFactory,
    MembershipFactory,
    join_code_for,
)
from tests.factories.people import PASSWORD, AuthenticatorFactory, PasswordUserFactory, UserFactory
from tests.factories.research import EntryFactory, JobFactory
from tests.factories.review import ScanFactory, UnmanagedResourceFactory

__all__ = [
    "PASSWORD",
    "AnalysisFactory",
    "AuthenticatorFactory",
    "DeploymentFactory",
    "EntryFactory",
    "GrantFactory",
    "GroupFactory",
    "JobFactory",
    "JoinRequestFactory",
    "JoiningDeploymentFactory",
    "MembershipFactory",
    "PasswordUserFactory",
    "PreviewFactory",
    "ScanFactory",
    "StackFactory",
    "UnmanagedResourceFactory",
    "UserFactory",
    "WorkerFactory",
    "join_code_for",
    "mark_drifted",
    "number_anew",
    "plan_for",
    "settle",
]


def number_anew() -> None:
    """Have each factory number its rows from 0 again, so that a test makes the same whatever ran before it."""
    factories: tuple[Any, ...] = (
        AnalysisFactory,
        GroupFactory,
        JobFactory,
        StackFactory,
        UnmanagedResourceFactory,
        UserFactory,
        WorkerFactory,
    )
    for each in factories:
        each.reset_sequence()

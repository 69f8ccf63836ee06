"""A group that is to end, and how far a test takes it."""

from typing import Any

import pytest
from django.utils import timezone

from control_plane.access.groups.models import Group
from control_plane.access.retirement.models import Retirement
from control_plane.access.retirement.requests import request_retirement
from control_plane.access.retirement.schedule import continue_retirements
from control_plane.accounts.models import User
from control_plane.deployments.models import StoredManifest
from stacks.manifest import parse
from tests.actors import OPERATOR
from tests.factories import AnalysisFactory, GrantFactory, MembershipFactory, settle

BUCKET = "cohort-ending"


@pytest.fixture
def lab(group: Group, ada: User) -> Group:
    """A group with a member who holds a key, an analysis, a join code and a request."""
    analysis = AnalysisFactory.create(slug="ending", bucket=BUCKET, deployed=True)
    MembershipFactory.create(group=group, user=ada, keys=True, manager=True)
    GrantFactory.create(group=group, analysis=analysis, deployed=True)
    return group


def ask_for(lab: Group, **more: Any) -> Retirement:
    return request_retirement(group=lab, confirmation=lab.slug, actor=OPERATOR, **more)


def newest_manifest(group: Group) -> Any:
    return parse(StoredManifest.objects.filter(stack=group.stack_id).order_by("-generation")[0].text)


def make_due(retirement: Retirement) -> None:
    Retirement.objects.filter(pk=retirement.pk).update(due_at=timezone.now())


def carry_out(retirement: Retirement) -> Retirement:
    """Due, begun, and as if AWS had removed it."""
    make_due(retirement)
    continue_retirements()
    settle(retirement.group.stack)
    continue_retirements()
    retirement.refresh_from_db()
    return retirement

"""A group that is to end, and how far a test takes it."""

from typing import Any

import pytest
from django.utils import timezone

from control_plane.access.groups.models import Access, Grant, Group
from control_plane.access.groups.services.analyses import create_analysis, grant_analysis
from control_plane.access.groups.services.members import add_member
from control_plane.access.retirement.models import Retirement
from control_plane.access.retirement.requests import request_retirement
from control_plane.access.retirement.schedule import continue_retirements
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.deployments.models import StoredManifest
from stacks.manifest import parse
from tests.control_plane.conftest import OPERATOR, settle

BUCKET = "cohort-ending"


@pytest.fixture
def lab(group: Group, ada: User, operator: Actor) -> Group:
    """A group with a member who holds a key, an analysis, a join code and a request."""
    analysis, _ = create_analysis(slug="ending", bucket=BUCKET, actor=operator)
    settle(analysis.stack)
    add_member(group=group, user=ada, access=Access.KEYS, actor=operator, as_manager=True)
    grant_analysis(analysis=analysis, group=group, level=Grant.Level.READ_WRITE, actor=operator)
    settle(group.stack)
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

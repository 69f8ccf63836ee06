"""Two administrators at the same moment: one decides, the other is told; and what both grant is granted once."""

import pytest

from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.accounts.models import User
from control_plane.deployments.models import Deployment
from control_plane.research.catalogue.grants import grant_many
from control_plane.research.catalogue.models import AccessRequest
from control_plane.research.catalogue.requests import approve, decline, request_analysis
from tests.actors import OPERATOR, actor_of
from tests.control_plane.access.groups.test_joining_races import at_once
from tests.factories import AnalysisFactory, MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def analysis(db: None) -> Analysis:
    return AnalysisFactory.create(slug="epi", bucket="cohort-epi")


def test_one_of_two_decides(group: Group, analysis: Analysis, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    number = request_analysis(group=group, analysis=analysis, reason="", actor=actor_of(ada)).pk
    approving = [AccessRequest.objects.get(pk=number) for _ in range(3)]
    declining = AccessRequest.objects.get(pk=number)
    deeds = [lambda item=item: approve(item, level=Grant.Level.READ_WRITE, actor=OPERATOR) for item in approving]
    assert at_once(*deeds, lambda: decline(declining, note="", actor=OPERATOR)) == {"done": 1, "NotOpen": 3}
    decided = AccessRequest.objects.get(pk=number)
    is_approved = decided.state == AccessRequest.State.APPROVED
    assert Grant.objects.wanted().count() == is_approved
    assert (decided.deployment is not None) == is_approved


def test_what_two_grant_at_once_is_granted_once(group: Group, analysis: Analysis) -> None:
    before = Deployment.objects.count()
    grant = lambda: grant_many(  # noqa: E731
        analyses=[analysis], groups=[Group.objects.get(pk=group.pk)], level=Grant.Level.READ_WRITE, actor=OPERATOR
    )
    assert at_once(grant, grant, grant) == {"done": 3}
    assert Grant.objects.count() == 1
    # The group's own first deployment still waits, and the grant joins it.
    assert Deployment.objects.count() == before
    group.stack.refresh_from_db()
    assert group.stack.generation == 2

"""Pages that follow by themselves: whatever happens between two of their queries, they show it or go on looking."""

import pytest

from control_plane.access.groups.models import Group
from control_plane.access.groups.services.joining import approve
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from tests.actors import client_of
from tests.control_plane.between_queries import LOOKS_AGAIN, pages_while
from tests.factories import AnalysisFactory, GrantFactory, JoinRequestFactory, MembershipFactory, settle

pytestmark = pytest.mark.django_db


def test_who_is_approved_in_the_middle_of_the_page_is_still_followed(group: Group, ada: User, operator: Actor) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    pages = pages_while(client_of(ada), "/", lambda: approve(request, actor=operator))
    assert len(pages) > 3
    for page in pages:
        assert "Where you stand" in page
        assert LOOKS_AGAIN in page
        assert page.count('aria-current="step"') == 1


def test_access_that_is_made_in_the_middle_of_the_page_is_shown_or_followed(group: Group, ada: User, operator: Actor) -> None:
    approve(JoinRequestFactory.create(user=ada, group=group), actor=operator)
    pages = pages_while(client_of(ada), "/", lambda: settle(group.stack))
    assert len(pages) > 3
    for page in pages:
        assert ("Open Example Lab" in page and "✓ active" in page) or LOOKS_AGAIN in page


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_group_that_changes_in_the_middle_of_its_page_is_shown_as_it_is_or_followed(
    group: Group, grace: User, ada: User, is_begun: bool
) -> None:
    analysis = AnalysisFactory.create(slug="ephys", bucket="cohort-ephys", name="Ephys")
    MembershipFactory.create(group=group, user=grace, manager=True, deployed=True)

    def begin() -> None:
        MembershipFactory.create(group=group, user=ada)
        GrantFactory.create(group=group, analysis=analysis)

    if is_begun:
        begin()
    pages = pages_while(client_of(grace), "/groups/example-lab/", lambda: settle(group.stack) if is_begun else begin())
    assert len(pages) > 3
    for page in pages:
        assert "being added" not in page or LOOKS_AGAIN in page

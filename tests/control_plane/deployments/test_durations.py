"""How long a deployment will take: by the stack's own last runs, or by its kind's."""

from datetime import timedelta

import pytest
from django.utils import timezone

from control_plane.access.groups.models import Group
from control_plane.deployments.durations import RECENT_RUNS, duration, expected_seconds
from control_plane.deployments.models import Deployment, Stack
from tests.factories import DeploymentFactory, GroupFactory, StackFactory

pytestmark = pytest.mark.django_db


def ran(stack: Stack, seconds: float, state: str = Deployment.State.SUCCEEDED) -> None:
    started = timezone.now()
    DeploymentFactory.create(
        stack=stack, generation=1, state=state, started_at=started, finished_at=started + timedelta(seconds=seconds)
    )


def test_it_is_the_median_of_the_last_runs_that_succeeded(group: Group) -> None:
    for seconds in (500, *range(1, RECENT_RUNS + 1)):
        ran(group.stack, seconds)
    ran(group.stack, 900, Deployment.State.FAILED)
    assert expected_seconds(group.stack) == (RECENT_RUNS + 1) / 2


def test_a_new_stack_goes_by_others_of_its_kind(group: Group) -> None:
    ran(StackFactory.create(), 100)
    assert expected_seconds(group.stack) is None
    ran(GroupFactory.create(slug="other-lab").stack, 8)
    assert expected_seconds(group.stack) == 8


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (0.44, "0.4 s"), (5.6, "6 s"), (59.7, "1 min"), (65, "1 min 5 s"), (3600, "1 h 0 min"), (7800, "2 h 10 min")],
)
def test_a_span_is_told_as_people_tell_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words

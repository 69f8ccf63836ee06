"""Two who decide about one request at the same moment: exactly one of them does."""

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import connection

from control_plane.access.groups.errors import CodeRefused
from control_plane.access.groups.models import Group, JoinCode, JoinRequest, Membership
from control_plane.access.groups.services.joining import approve, ask_to_join, decline, withdraw
from control_plane.accounts.models import User
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment
from tests.actors import OPERATOR, actor_of
from tests.factories import JoinRequestFactory, UserFactory, join_code_for

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*deeds: Callable[[], object]) -> Counter[str]:
    """Do them all in threads that start together; count what came of them."""
    outcomes: Counter[str] = Counter()
    start = threading.Barrier(len(deeds))

    def do(deed: Callable[[], object]) -> None:
        start.wait()
        try:
            deed()
            outcomes["done"] += 1
        except Refused as refusal:
            outcomes[type(refusal).__name__] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


def test_two_approvals_are_one(group: Group, ada: User) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    assert at_once(*[lambda: approve(request, actor=OPERATOR)] * 4) == {"done": 1, "NotOpen": 3}
    assert Membership.objects.filter(group=group, user=ada).count() == 1
    group.stack.refresh_from_db()
    assert group.stack.generation == 2
    assert Deployment.objects.filter(stack=group.stack).count() == 1


def test_a_new_group_is_made_once(ada: User) -> None:
    request = JoinRequestFactory.create(user=ada, new_group_name="Noether Lab")
    deeds = [lambda slug=slug: approve(request, actor=OPERATOR, new_group_slug=slug) for slug in ("noether-lab", "noether-two")]
    assert at_once(*deeds) == {"done": 1, "NotOpen": 1}
    assert Group.objects.count() == 1


@pytest.mark.parametrize("against", ["withdraw", "decline"])
def test_an_approval_and_its_opposite_are_one_of_the_two(group: Group, ada: User, against: str) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)

    def oppose() -> None:
        if against == "withdraw":
            withdraw(request, actor=actor_of(ada))
        else:
            decline(request, actor=OPERATOR)

    assert at_once(lambda: approve(request, actor=OPERATOR), oppose) == {"done": 1, "NotOpen": 1}
    request.refresh_from_db()
    assert Membership.objects.filter(user=ada).exists() == (request.state == JoinRequest.State.APPROVED)


def test_a_code_for_one_is_used_by_one(group: Group) -> None:
    code = join_code_for(group, most_uses=1)
    people = UserFactory.create_batch(3)
    deeds = [lambda user=user: ask_to_join(user=user, actor=actor_of(user), code=code) for user in people]
    assert at_once(*deeds) == {"done": 1, CodeRefused.__name__: 2}
    assert JoinRequest.objects.count() == JoinCode.objects.get().uses == 1


def test_the_same_wish_twice_at_once_is_one(group: Group, ada: User) -> None:
    code = join_code_for(group)
    assert at_once(*[lambda: ask_to_join(user=ada, actor=actor_of(ada), code=code)] * 2) == {"done": 1, "AlreadyAsked": 1}
    assert JoinCode.objects.get().uses == 1

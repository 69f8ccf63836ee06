"""People in their roles, and what they ask for, made by the services themselves."""

from allauth.account.models import EmailAddress
from django.test import Client

from control_plane.access.groups.models import Access, Group, JoinRequest
from control_plane.access.groups.services.join_codes import make_join_code
from control_plane.access.groups.services.joining import ask_to_join
from control_plane.access.groups.services.members import add_member
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from tests.control_plane.conftest import OPERATOR, settle


def actor_of(user: User) -> Actor:
    """The person, as the web knows them."""
    return Actor(label=user.email, channel="web", user=user)


def client_of(user: User) -> Client:
    """A browser in which the person is signed in."""
    client = Client()
    client.force_login(user)
    return client


def verified(user: User) -> User:
    """The person, whose address is known to be theirs."""
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})
    return user


def in_group(group: Group, user: User, *, manager: bool = False) -> User:
    """The person, whom AWS lets into the group."""
    add_member(group=group, user=user, access=Access.FEDERATED, actor=OPERATOR, as_manager=manager)
    settle(group.stack)
    return user


def code_for(group: Group, **terms: int) -> str:
    """A fresh join code."""
    return make_join_code(group=group, actor=OPERATOR, **terms)[1]


def waiting(user: User, *, group: Group | None = None, name: str = "") -> JoinRequest:
    """A request that waits for a decision: to join the group, or a new one of this name."""
    if group is not None:
        return ask_to_join(user=user, actor=actor_of(user), code=code_for(group))
    return ask_to_join(user=user, actor=actor_of(user), new_group_name=name)

"""Who acts in a test: the operator at a terminal, a person on the web, and the browser that a person is signed in with."""

from django.test import Client

from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor

OPERATOR = Actor(label="terminal:tester", channel="terminal")


def actor_of(user: User) -> Actor:
    """The person, as the web knows them."""
    return Actor(label=user.email, channel="web", user=user)


def client_of(user: User) -> Client:
    """A browser in which the person is signed in."""
    client = Client()
    client.force_login(user)
    return client

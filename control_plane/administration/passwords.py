"""What an administrator is told about links to set a password."""

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpRequest

from control_plane.accounts.models import User
from control_plane.accounts.services.emails import send_password_link

# How many one request writes to: each is a message to the mail server.
MAX_LINKS = 20


def told_links(request: HttpRequest, people: Sequence[User]) -> tuple[str, int]:
    """Send the links, and what to tell about it."""
    left_out = [person.email for person in people if not send_password_link(person, request=request)]
    sent = len(people) - len(left_out)
    if not left_out:
        who = people[0].email if len(people) == 1 else f"{sent} people"
        return f"A link to set a password is on its way to {who}.", messages.SUCCESS
    return (
        f"{sent} links are on their way. None was sent to {', '.join(left_out)}: they are not active, or had several a moment ago. "
        "Try again in a few minutes.",
        messages.WARNING,
    )

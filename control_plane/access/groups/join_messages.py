"""E-mails about joining and leaving a group, to the person and to those who decide. One link each, never a secret."""

from django.urls import reverse

from control_plane.access.groups.models import Group, JoinRequest
from control_plane.notifications.messages import Letter
from control_plane.notifications.models import Notice


def about_request(request: JoinRequest, event: Notice.Event) -> Letter:
    """Compose the e-mail about an event of a request to join. Raises ValueError for an event that is not about one."""
    match event:
        case Notice.Event.JOIN_ASKED:
            return _asked(request)
        case Notice.Event.JOIN_APPROVED:
            return _approved(request)
        case Notice.Event.JOIN_DECLINED:
            return _declined(request)
        case _:
            raise ValueError(f"{event} is not about a request to join.")


def access_given(group: Group) -> Letter:
    """Compose the e-mail that tells a member that AWS holds their access now."""
    return Letter(
        f"You are in: {group.name}",
        [f"Your access to {group.name} is ready. See what you can reach, and how:"],
        group.get_absolute_url(),
        "because you are a member of the group now",
    )


def access_ended(group: Group) -> Letter:
    """Compose the e-mail that tells a former member that AWS no longer holds their access."""
    return Letter(
        f"Your access to {group.name} has ended",
        [
            f"You are no longer a member of {group.name}: your keys and sessions for it no longer work. "
            "The group's data stays with the group, and your account stays as it is."
        ],
        reverse("home"),
        "because you were a member of the group",
    )


def _asked(request: JoinRequest) -> Letter:
    person = f"{request.user.name} ({request.user.email})" if request.user.name else request.user.email
    code = f" They gave the join code that begins with {request.code.prefix}." if request.code else ""
    return Letter(
        f"{request.user.email} asks to join {request.place}",
        [
            f"{person} asks to join {request.place}.{code} They have no access until somebody approves.",
            "Approve or decline here, after signing in. The link works for a week and for this request alone:",
        ],
        request.decision_path(),
        "because you can decide it",
    )


def _approved(request: JoinRequest) -> Letter:
    return Letter(
        f"Your request to join {request.place} was approved",
        [
            f"Your request to join {request.place} was approved. Your access is being made now, which takes a minute or two. "
            "Another e-mail tells you when it is ready; you can follow it here:"
        ],
        reverse("home"),
        "because you asked to join",
    )


def _declined(request: JoinRequest) -> Letter:
    note = [f"They say: {request.note}"] if request.note else []
    return Letter(
        f"Your request to join {request.place} was declined",
        [
            f"Your request to join {request.place} was declined. Your account stays as it is.",
            *note,
            "You can ask again here, with another code or for another group:",
        ],
        reverse("home"),
        "because you asked to join",
    )

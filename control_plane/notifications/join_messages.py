"""What is said to people who join a group or leave it, and to those who decide about them. One link each, never a secret."""

from typing import TYPE_CHECKING

from django.urls import reverse

from control_plane.config import config
from control_plane.notifications.models import Notice

if TYPE_CHECKING:
    from control_plane.groups.models import Group, JoinRequest

Parts = tuple[str, list[str]]


def parts(notice: Notice) -> Parts:
    """The subject, and the paragraphs."""
    event = Notice.Event(notice.event)
    if notice.group is not None:
        words = notice.words
        return words["subject"], [*words["paragraphs"], _address(words["path"])]
    if notice.join_request is not None:
        return _about_a_request(event, notice.join_request)
    if notice.deployment is None:
        raise ValueError(f"{notice} is about nothing.")
    group = notice.deployment.stack.group
    return _given(group) if event == Notice.Event.ACCESS_GIVEN else _ended(group)


def _about_a_request(event: Notice.Event, request: "JoinRequest") -> Parts:
    match event:
        case Notice.Event.JOIN_ASKED:
            return _asked(request)
        case Notice.Event.JOIN_APPROVED:
            return _approved(request)
        case Notice.Event.JOIN_DECLINED:
            return _declined(request)
        case _:
            raise ValueError(f"{event} is not about a request to join.")


def _asked(request: "JoinRequest") -> Parts:
    who = f"{request.user.name} ({request.user.email})" if request.user.name else request.user.email
    how = f" They gave the join code that begins with {request.code.prefix}." if request.code else ""
    return f"{request.user.email} asks to join {request.place}", [
        f"{who} asks to join {request.place}.{how} They have no access until somebody approves.",
        "Approve or decline here, after signing in. The link works for a week and for this request alone:",
        _address(request.decision_path()),
        "Cohort tells you this because you can decide it.",
    ]


def _approved(request: "JoinRequest") -> Parts:
    return f"Your request to join {request.place} was approved", [
        f"Your request to join {request.place} was approved. AWS is making your access now, which takes a minute or two. "
        "Another e-mail says when you are in; you can watch it here:",
        _address(reverse("home")),
        "Cohort tells you this because you asked to join.",
    ]


def _declined(request: "JoinRequest") -> Parts:
    said = [f"They say: {request.note}"] if request.note else []
    return f"Your request to join {request.place} was declined", [
        f"Your request to join {request.place} was declined. Your account stays as it is.",
        *said,
        "You can ask again here, with another code or for another group:",
        _address(reverse("home")),
        "Cohort tells you this because you asked to join.",
    ]


def _given(group: "Group") -> Parts:
    return f"You are in: {group.name}", [
        f"Your access to {group.name} is ready. What you can reach, and how:",
        _address(group.get_absolute_url()),
        "Cohort tells you this because you are a member of the group now.",
    ]


def _ended(group: "Group") -> Parts:
    return f"Your access to {group.name} has ended", [
        f"You are not a member of {group.name} any more: its keys and sessions that you had do not work from now on. "
        "The group's data stays with the group, and your account stays as it is.",
        _address(reverse("home")),
        "Cohort tells you this because you were a member of the group.",
    ]


def _address(path: str) -> str:
    return f"{config().site_url.rstrip('/')}{path}"

"""Browser sessions of a person: listing and ending them."""

from collections.abc import Iterable

from allauth.core import context
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.audit.refusals import NotYours

MAX_SHOWN = 50


class SessionsAdapter(DefaultUserSessionsAdapter):
    """allauth's adapter for sessions."""

    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        sessions = list(sessions)
        if sessions:
            end_sessions(sessions, actor=Actor.of_request(context.request))


def open_sessions(user: User) -> list[UserSession]:
    """Return the person's valid sessions, newest first, at most MAX_SHOWN. In two queries, however many there are."""
    known = Session.objects.filter(pk=OuterRef("session_key"), expire_date__gt=timezone.now())
    rows = list(UserSession.objects.filter(Exists(known), user=user).order_by("-created_at")[:MAX_SHOWN])
    # A session from before a change of the password still exists, but is not valid.
    hashed = user.get_session_auth_hash()
    stored = Session.objects.filter(pk__in=[row.session_key for row in rows])
    valid = {session.pk for session in stored if constant_time_compare(session.get_decoded().get(HASH_SESSION_KEY, ""), hashed)}
    return [row for row in rows if row.session_key in valid]


def end_other_sessions(*, user: User, session_key: str, actor: Actor) -> None:
    """Sign the person out everywhere but in the requesting browser."""
    if others := list(UserSession.objects.filter(user=user).exclude(session_key=session_key)):
        end_sessions(others, actor=actor)


def end_session(*, user: User, session_id: int, actor: Actor) -> None:
    """Sign the person out of one browser. Raises NotYours for a session of somebody else."""
    session = UserSession.objects.filter(user=user, pk=session_id).first()
    if session is None:
        raise NotYours("A session of somebody else's, or one that has ended.")
    end_sessions([session], actor=actor)


def end_all_sessions(user: User, *, actor: Actor) -> None:
    """Sign the person out everywhere."""
    if sessions := list(UserSession.objects.filter(user=user)):
        end_sessions(sessions, actor=actor)


def end_sessions(sessions: list[UserSession], *, actor: Actor) -> None:
    """End these sessions, which are one person's."""
    with transaction.atomic():
        for session in sessions:
            session.end()
        record(actor, "account.sessions_ended", sessions[0].user.email, count=len(sessions))

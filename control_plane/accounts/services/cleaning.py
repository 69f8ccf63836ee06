"""Nightly removal of unverified sign-ups and of expired sign-ins."""

from datetime import timedelta

from allauth.account.models import EmailAddress
from allauth.idp.oidc.models import Token
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, ProtectedError, QuerySet
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.cleaning import MAX_ROWS_PER_TRANSACTION, register_cleanup, remove_in_steps
from control_plane.base.config import config
from control_plane.notifications.cleaning import remove_notices_to


@register_cleanup("sign-ups that were never verified")
def remove_unverified() -> int:
    """Remove accounts whose address was never verified, with everything that belongs to them. Returns their number."""
    removed = 0
    for pk in _unverified().values_list("pk", flat=True)[:MAX_ROWS_PER_TRANSACTION]:
        try:
            with transaction.atomic():
                person = _unverified().select_for_update().filter(pk=pk).first()
                if person is None:
                    continue
                email = person.email
                person.delete()
                # Their requests went with them: nothing is announced to them any more.
                remove_notices_to(email)
                record(Actor.system("cleanup"), "account.unverified_removed", email)
        except ProtectedError:
            # Somebody put them into a group meanwhile: that record stays, and so does the account.
            continue
        removed += 1
    return removed


@register_cleanup("ended sign-ins")
def remove_ended_sessions() -> int:
    """Remove the session entries of browsers and the tokens of computers that have expired. Returns their number."""
    live = Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=timezone.now())
    # The entry of a new sign-in may be written before its session.
    settled = timezone.now() - timedelta(hours=1)
    ended = UserSession.objects.filter(~Exists(live), last_seen_at__lt=settled)
    return remove_in_steps(ended) + remove_in_steps(Token.objects.filter(expires_at__lt=timezone.now()))


def _unverified() -> QuerySet[User]:
    verified = EmailAddress.objects.filter(user=OuterRef("pk"), verified=True)
    elsewhere = SocialAccount.objects.filter(user=OuterRef("pk"))
    before = timezone.now() - timedelta(days=config().cleanup_sign_up_days)
    # An account without any address in allauth's table was not made by signing up.
    signed_up = EmailAddress.objects.filter(user=OuterRef("pk"))
    return User.objects.filter(
        Exists(signed_up),
        ~Exists(verified),
        ~Exists(elsewhere),
        date_joined__lt=before,
        last_login__isnull=True,
        is_staff=False,
        is_superuser=False,
        deletion_requested_at__isnull=True,
    ).order_by("pk")

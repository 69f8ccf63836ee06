"""E-mails about an account that an administrator's deeds cause: a link to set a password, and word of what was changed."""

from allauth.account.adapter import get_adapter
from allauth.account.forms import ResetPasswordForm
from allauth.core import ratelimit
from django.http import HttpRequest

from control_plane.accounts.models import User
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record


def send_password_link(user: User, *, request: HttpRequest) -> bool:
    """Send the person a link by which they set a password of their own, as “Forgotten your password?” does.

    Returns whether it was sent: not to somebody who is not active, and no more often than that page does. Raises PermissionDenied.
    """
    actor = Actor.of_request(request)
    require_administrator(actor)
    form = ResetPasswordForm({"email": user.email})
    if not user.is_active or not form.is_valid() or not ratelimit.consume(request, action="reset_password", key=user.email):
        return False
    form.save(request)
    record(actor, "person.password_link", user.email)
    return True


def tell_of_address(user: User, before: str) -> None:
    """Tell the person, at the old address too, that an administrator changed the address that they sign in with."""
    for address in (before, user.email):
        get_adapter().send_mail("account/email/changed_for_you", address, {"from_email": before, "to_email": user.email})


def tell_of_removed_factor(user: User, kind: str) -> None:
    """Tell the person that an administrator removed a second factor of theirs."""
    get_adapter().send_mail("account/email/factor_removed_for_you", user.email, {"kind": kind})

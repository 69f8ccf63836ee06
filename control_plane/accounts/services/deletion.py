"""Cancelling the deletion of an account. The deletion itself is in `access.people`."""

from django.db import transaction

from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused


class LastAdministrator(Refused):
    """No administrator would be left."""


def cancel_deletion(user: User, *, actor: Actor) -> None:
    """Cancel the deletion of an account that an administrator has activated again."""
    if user.is_active and user.deletion_requested_at and not user.erased_at:
        with transaction.atomic():
            User.objects.filter(pk=user.pk).update(deletion_requested_at=None)
            record(actor, "account.deletion_cancelled", user.email)
        user.deletion_requested_at = None

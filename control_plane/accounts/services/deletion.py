"""Deletion of an account, as far as accounts alone know it: keeping it after all. The deletion itself is in `people`."""

from django.db import transaction

from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused


class LastAdministrator(Refused):
    """Nobody would be left to administer the site."""


def cancel_deletion(user: User, *, actor: Actor) -> None:
    """Keep the account after all, because an administrator has activated it again."""
    if user.is_active and user.deletion_requested_at and not user.erased_at:
        with transaction.atomic():
            User.objects.filter(pk=user.pk).update(deletion_requested_at=None)
            record(actor, "account.deletion_cancelled", user.email)
        user.deletion_requested_at = None

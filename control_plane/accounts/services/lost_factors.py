"""Removing the second factor of somebody who lost it, so that they can sign in and add another."""

from collections.abc import Iterable

from allauth.mfa.models import Authenticator
from django.db import transaction

from control_plane.accounts.permissions import require_administrator
from control_plane.accounts.services.letters import tell_of_removed_factor
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record


def remove_factors(factors: Iterable[Authenticator], *, actor: Actor) -> None:
    """Remove them, with a record of whose each was and word to each person. Raises PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        for factor in list(factors):
            record(actor, "account.factor_removed", factor.user.email, kind=factor.type)
            factor.delete()
            tell_of_removed_factor(factor.user, factor.get_type_display())

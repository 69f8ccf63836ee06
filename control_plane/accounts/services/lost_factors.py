"""Removal of lost second factors, so that their owners can sign in and add another."""

from collections.abc import Iterable

from allauth.mfa.models import Authenticator
from django.db import transaction

from control_plane.accounts.permissions import require_administrator
from control_plane.accounts.services.emails import notify_factor_removed
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record


def remove_factors(factors: Iterable[Authenticator], *, actor: Actor) -> None:
    """Remove the factors, record it, and notify their owners. Raises PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        for factor in list(factors):
            record(actor, "account.factor_removed", factor.user.email, kind=factor.type)
            factor.delete()
            notify_factor_removed(factor.user, factor.get_type_display())

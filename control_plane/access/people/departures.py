"""Deletion of one's own account: access on AWS is removed first, personal data is erased once AWS has done so.

The row itself stays, without a name and address, because ended memberships refer to it; so does the audit trail, with the
label at the time of each event.
"""

import logging

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.idp.oidc.models import Token
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from control_plane.access.groups.models import Membership
from control_plane.access.groups.services.members import leave_all
from control_plane.accounts.models import User
from control_plane.accounts.permissions import active_administrators
from control_plane.accounts.services.deletion import LastAdministrator
from control_plane.accounts.services.sessions import end_all_sessions
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment

logger = logging.getLogger("cohort.accounts")
# Nobody can own it: the top-level domain `invalid` is reserved (RFC 2606).
ERASED_DOMAIN = "deleted.invalid"
MAX_ERASURES_PER_SWEEP = 50


class NotConfirmed(Refused):
    """The typed address is not the account's."""


def ask_deletion(*, user: User, typed_email: str, actor: Actor) -> list[Deployment]:
    """Close the person's own account at once, and remove their access. Returns the deployments that do it.

    Raises NotConfirmed, LastAdministrator or PermissionDenied. `erase_departed` erases the data later. For removal by an
    administrator see `removals`.
    """
    if actor.user != user:
        raise PermissionDenied("Only its owner deletes an account. Nothing was changed; deactivate it instead.")
    with transaction.atomic():
        # All administrators' rows, so that the last two cannot both go at once.
        administrators = list(active_administrators().select_for_update())
        person = User.objects.select_for_update().get(pk=user.pk)
        if typed_email.strip().lower() != person.email:
            raise NotConfirmed("That is not this account's address. Nothing was deleted; type the address as it stands above.")
        if [administrator.pk for administrator in administrators] == [person.pk]:
            raise LastAdministrator("You are the only administrator. Nothing was deleted; make somebody else one first.")
        deployments = leave_all(user=person, actor=actor)
        person.is_active = False
        person.deletion_requested_at = timezone.now()
        person.save(update_fields=["is_active", "deletion_requested_at"])
        record(actor, "account.deletion_asked", person.email, deployments=[deployment.pk for deployment in deployments])
        end_all_sessions(person, actor=actor)
        Token.objects.filter(user=person).delete()
    return deployments


def erase_departed() -> int:
    """Erase the accounts to be deleted whose access AWS has removed. Returns how many; the sweep calls it."""
    erased = 0
    for pk in _departed().values_list("pk", flat=True)[:MAX_ERASURES_PER_SWEEP]:
        with transaction.atomic():
            person = _departed().select_for_update().filter(pk=pk).first()
            if person is not None:
                _erase(person)
                erased += 1
    return erased


def _departed() -> QuerySet[User]:
    access = Membership.objects.not_ended().filter(user=OuterRef("pk"))
    return User.objects.filter(~Exists(access), deletion_requested_at__isnull=False, erased_at__isnull=True, is_active=False)


def _erase(person: User) -> None:
    """Erase all personal data of the account."""
    old = person.email
    get_adapter().send_mail("account/email/account_erased", old, {})
    for model in (EmailAddress, SocialAccount, Authenticator, UserSession, Token):
        model.objects.filter(user=person).delete()
    person.groups.clear()
    person.user_permissions.clear()
    person.email = f"deleted-{person.pk}@{ERASED_DOMAIN}"
    person.name = person.requested_group = person.requested_group_code = ""
    person.is_staff = person.is_superuser = False
    person.last_login = None
    person.erased_at = timezone.now()
    person.set_unusable_password()
    person.full_clean(exclude=["password"])
    person.save()
    record(Actor.system("accounts"), "account.erased", old, now=person.email)
    logger.info("an account was erased; it is %s now", person.email)

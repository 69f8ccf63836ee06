"""Whom a request to join waits for, whose word is enough, and which names a new group may be asked for by."""

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.db.models import Q

from control_plane.access.groups.confusables import look_alike_of
from control_plane.access.groups.errors import NameTaken
from control_plane.access.groups.models import Group, JoinRequest, Membership
from control_plane.access.groups.permissions import managers
from control_plane.access.groups.slugs import make_slug
from control_plane.accounts.models import User
from control_plane.accounts.validation import fold_name, tidy_name, validate_name
from control_plane.base.config import config
from control_plane.base.errors import InvalidName

LONGEST_NAME = 120


def check_new_group_name(name: str) -> str:
    """The name, tidied, if a new group can be asked for by it. Raises InvalidName, or NameTaken without saying by whom."""
    name = tidy_name(name)
    try:
        validate_name(name)
    except ValidationError as error:
        raise InvalidName(f"{' '.join(error.messages)} Nothing was changed.") from error
    if not 2 <= len(name) <= LONGEST_NAME:
        raise InvalidName(f"A group's name has 2 to {LONGEST_NAME} characters. Nothing was changed.")
    folded = fold_name(name)
    taken = Group.objects.filter(Q(folded_name=folded) | Q(slug=make_slug(name))).exists()
    if taken or look_alike_of(name, Group.objects.all()):
        raise NameTaken(
            "A group that exists cannot be joined by its name. Nothing was changed; ask the group's manager for a code, "
            "or, if yours is another group, choose another name."
        )
    return name


def trusts_address(request: JoinRequest) -> bool:
    """Whether a request needs nobody's approval: by a code that still stands, from a verified address of a trusted domain."""
    if request.code is None or request.code.withdrawn_at is not None or not is_trusted_domain(request.user.email):
        return False
    # Who was suspended does not come back by leaving and asking again.
    if Membership.objects.filter(group=request.group, user=request.user, suspended_at__isnull=False).exists():
        return False
    return bool(EmailAddress.objects.filter(user=request.user, email__iexact=request.user.email, verified=True).exists())


def is_trusted_domain(address: str) -> bool:
    """Whether AUTO_APPROVE_DOMAINS names the address's domain: `example.org` itself, or `.edu` for all that end so."""
    domain = address.rpartition("@")[2].lower()
    return any(domain.endswith(one) if one.startswith(".") else domain == one for one in config().auto_approve_domains)


def addresses_of_deciders(request: JoinRequest) -> list[str]:
    """Whom to tell that somebody waits: the group's managers; without any, or for a new group, the administrators."""
    found = list(managers(request.group).order_by("pk").values_list("user__email", flat=True)) if request.group else []
    administrators = User.objects.filter(is_active=True, is_staff=True, is_superuser=True).order_by("pk")
    return found or list(administrators.values_list("email", flat=True))

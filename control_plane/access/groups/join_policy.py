"""Join policy: approvers, auto-approved domains, allowed group names."""

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

MAX_NAME_CHARACTERS = 120


def check_new_group_name(name: str) -> str:
    """Return the tidied name if a new group can be requested under it. Raises InvalidName, or NameTaken without saying by whom."""
    name = tidy_name(name)
    try:
        validate_name(name)
    except ValidationError as error:
        raise InvalidName(f"{' '.join(error.messages)} Nothing was changed.") from error
    if not 2 <= len(name) <= MAX_NAME_CHARACTERS:
        raise InvalidName(f"A group's name has 2 to {MAX_NAME_CHARACTERS} characters. Nothing was changed.")
    folded = fold_name(name)
    taken = Group.objects.filter(Q(folded_name=folded) | Q(slug=make_slug(name))).exists()
    if taken or look_alike_of(name, Group.objects.all()):
        raise NameTaken(
            "A group that exists cannot be joined by its name. Nothing was changed; ask the group's manager for a code, "
            "or, if yours is another group, choose another name."
        )
    return name


def trusts_address(request: JoinRequest) -> bool:
    """Return whether a request is auto-approved: its code is not withdrawn, its verified address is of a trusted domain."""
    if request.code is None or request.code.withdrawn_at is not None or not is_trusted_domain(request.user.email):
        return False
    # Leaving and asking again must not lift a suspension.
    if Membership.objects.filter(group=request.group, user=request.user, suspended_at__isnull=False).exists():
        return False
    return bool(EmailAddress.objects.filter(user=request.user, email__iexact=request.user.email, verified=True).exists())


def is_trusted_domain(address: str) -> bool:
    """Return whether AUTO_APPROVE_DOMAINS has the address's domain: `example.org` itself, or `.edu` for all that end so."""
    domain = address.rpartition("@")[2].lower()
    trusted = config().auto_approve_domains
    return any(domain.endswith(entry) if entry.startswith(".") else domain == entry for entry in trusted)


def addresses_of_deciders(request: JoinRequest) -> list[str]:
    """Return the approvers' addresses: the group's managers; without any, or for a new group, the administrators."""
    addresses = list(managers(request.group).order_by("pk").values_list("user__email", flat=True)) if request.group else []
    administrators = User.objects.filter(is_active=True, is_staff=True, is_superuser=True).order_by("pk")
    return addresses or list(administrators.values_list("email", flat=True))

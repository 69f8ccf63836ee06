"""Second factors: encryption of their secrets in the database, and who must have one."""

from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from control_plane.accounts.models import User
from control_plane.base.config import config
from control_plane.base.encryption import fernet

_PURPOSE = b"cohort second factors"


class SecondFactorAdapter(DefaultMFAAdapter):
    """allauth's adapter for second factors."""

    def encrypt(self, text: str) -> str:
        return fernet(_PURPOSE).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return fernet(_PURPOSE).decrypt(encrypted_text.encode()).decode()

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Check whether the factor may be deleted: the last one may not, if one is required."""
        if authenticator.type == Authenticator.Type.RECOVERY_CODES or not is_required(authenticator.user):
            return True
        return _factors(authenticator.user).exclude(pk=authenticator.pk).exists()

    def _get_site_name(self) -> str:
        return "Cohort"


def is_required(user: User) -> bool:
    """Check whether this person must have a second factor."""
    return config().require_mfa == "staff" and user.is_staff


def has_second_factor(user: User) -> bool:
    """Check whether this person has a second factor. Recovery codes alone do not count."""
    return bool(_factors(user).exists())


def _factors(user: User) -> Any:
    return Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES)

"""Second factors: their secrets are encrypted before they reach the database, and who may be without one."""

from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from control_plane.accounts.models import User
from control_plane.base.config import config
from control_plane.base.encryption import fernet

_PURPOSE = b"cohort second factors"


class SecondFactorAdapter(DefaultMFAAdapter):
    """What allauth asks about second factors."""

    def encrypt(self, text: str) -> str:
        return fernet(_PURPOSE).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return fernet(_PURPOSE).decrypt(encrypted_text.encode()).decode()

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Whoever must have a second factor adds another before the last one goes."""
        if authenticator.type == Authenticator.Type.RECOVERY_CODES or not is_required(authenticator.user):
            return True
        return _factors(authenticator.user).exclude(pk=authenticator.pk).exists()

    def _get_site_name(self) -> str:
        return "Cohort"


def is_required(user: User) -> bool:
    """Whether this person may use nothing but their second factors' pages until they have one."""
    return config().require_mfa == "staff" and user.is_staff


def has_second_factor(user: User) -> bool:
    """Whether this person has one. Recovery codes alone are none."""
    return bool(_factors(user).exists())


def _factors(user: User) -> Any:
    return Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES)

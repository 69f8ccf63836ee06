"""What allauth asks us."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by an administrator; sign-up by oneself is not open yet."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

"""allauth's adapter for accounts, with what a new password ends: computers, and sessions of AWS in every group."""

from typing import Any

from django.contrib import messages
from django.db import transaction

from control_plane.access.people.sign_outs import end_computers_and_sessions
from control_plane.accounts.adapter import AccountAdapter
from control_plane.accounts.models import User
from control_plane.base.audit.actors import actor_for


class PeopleAdapter(AccountAdapter):
    """The adapter that the site uses; ACCOUNT_ADAPTER names it."""

    def set_password(self, user: User, password: str) -> None:
        """Set it, and end what was opened with the old one. The pages and the e-mail that follow say what that was."""
        request = self.request
        with transaction.atomic():
            super().set_password(user, password)
            request.signed_out = end_computers_and_sessions(
                user=user, actor=actor_for(user, request), replace_keys=getattr(request, "replace_keys", False)
            )
        for refusal in request.signed_out.refusals:
            messages.warning(request, f"An access key was not replaced. {refusal}")

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        ended = {"signed_out": getattr(self.request, "signed_out", None)}
        super().send_notification_mail(template_prefix, user, ended | (context or {}), email)

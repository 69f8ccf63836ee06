"""allauth's account adapter: a new password also ends the person's computers, and AWS sessions in every group."""

from typing import Any

from django.contrib import messages
from django.db import transaction

from control_plane.access.people.sign_outs import end_computers_and_sessions
from control_plane.accounts.adapter import AccountAdapter
from control_plane.accounts.models import User
from control_plane.base.audit.actors import actor_for


class PeopleAdapter(AccountAdapter):
    """Account adapter of the site; ACCOUNT_ADAPTER names it."""

    def set_password(self, user: User, password: str) -> None:
        """Set the password, and end everything opened with the old one; the following pages and e-mail list what was ended."""
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

"""`manage.py administrator ensure`: there is someone who can sign in and administer."""

import os
import sys
from getpass import getpass
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from control_plane.accounts.models import User
from control_plane.base.audit.models import record
from control_plane.base.terminal import VerbCommand


class Command(VerbCommand):
    """Administrators from a terminal."""

    help = "Make the first administrator."

    def add_verbs(self) -> None:
        ensure = self.verb(
            "ensure",
            self.ensure,
            "Make this administrator unless the account is there; the password is read from ADMIN_PASSWORD, or asked for.",
        )
        ensure.add_argument("email", metavar="e-mail")

    def ensure(self, options: dict[str, Any]) -> None:
        email = options["email"].strip().lower()
        if User.objects.filter(email=email).exists():
            self.show(options, {"email": email, "made": False}, f"{email} is there already.")
            return
        password = os.environ.get("ADMIN_PASSWORD", "")
        if not password and sys.stdin.isatty():
            password = self._ask(email, options)
        if not password:
            self.refuse("ADMIN_PASSWORD is not set in the environment. Nothing was changed.", options)
        with transaction.atomic():
            User.objects.create_superuser(email, password)
            record(self.actor, "person.create", email, after={"is_superuser": True})
        self.show(options, {"email": email, "made": True}, f"{email} is now an administrator.")

    def _ask(self, email: str, options: dict[str, Any]) -> str:
        """A password typed twice, so that it stands in no file and no shell's history."""
        password = getpass(f"Password for {email}: ")
        if getpass("And once more: ") != password:
            self.refuse("The two passwords differ. Nothing was changed.", options)
        validate_password(password, User(email=email))
        return password

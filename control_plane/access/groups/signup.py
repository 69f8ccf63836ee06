"""What sign-up asks for beside an address and a password: a name, and the group that the person wants to be in."""

from typing import Any

from allauth.account.forms import SignupForm as AccountSignupForm
from allauth.account.signals import user_signed_up
from allauth.socialaccount.forms import SignupForm as ProviderSignupForm
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string

from control_plane.access.groups.join_policy import LONGEST_NAME, check_new_group_name
from control_plane.access.groups.services.join_codes import find_usable_code
from control_plane.access.groups.services.joining import ask_to_join
from control_plane.accounts.equal_timing import rolled_back
from control_plane.accounts.models import User
from control_plane.accounts.name_field import NameField
from control_plane.accounts.validation import validate_name, validate_person_name
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused

# A code of 24 letters with room for the separators that people write.
LONGEST_CODE = 64
# Cannot be anybody's: the top-level domain `invalid` is reserved (RFC 2606).
NOBODYS_DOMAIN = "nobody.invalid"


class JoinFields(forms.Form):
    """The fields and rules that both ways to sign up share. What cannot be asked for is said before an account is made."""

    name = NameField(max_length=LONGEST_NAME, label="Your name", validators=[validate_person_name])
    use_code = forms.BooleanField(required=False, label="I have a join code")
    join_code = forms.CharField(
        max_length=LONGEST_CODE,
        required=False,
        label="Join code",
        help_text="Your group’s manager gives you one.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )
    requested_group = NameField(
        max_length=LONGEST_NAME,
        required=False,
        label="New group’s name",
        help_text="An administrator looks at it. To join a group that exists, ask its manager for a code.",
        validators=[validate_name],
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        # A field with an error of its own is not looked at twice.
        field = "join_code" if data.get("use_code") else "requested_group"
        if field in data:
            try:
                _check(field, data[field])
            except Refused as refusal:
                self.add_error(field, str(refusal))
        return data

    def signup(self, request: HttpRequest, user: User) -> None:
        """Keep the name, and ask for the group. It waits until the address is verified."""
        data = self.cleaned_data
        user.name = data["name"]
        user.save(update_fields=["name"])
        wish = {"code": data["join_code"]} if data["use_code"] else {"new_group_name": data["requested_group"]}
        actor = Actor(label=user.email, channel="web", user=user, address=request.META.get("REMOTE_ADDR") or None)
        try:
            ask_to_join(user=user, actor=actor, is_verified=False, **wish)
        except Refused as refusal:
            # The code was used up, or the name taken, a moment ago. The account is there, and its home page asks again.
            messages.warning(request, str(refusal))


class SignupForm(JoinFields, AccountSignupForm):
    """Signing up with an address and a password. `accounts` names it in ACCOUNT_FORMS."""

    def custom_signup(self, request: HttpRequest, user: Any) -> None:
        self.signup(request, user)

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Make the account, or, where the address has one, do the same work for nothing: the answer's time tells nobody of it."""
        if self.account_already_exists:
            with rolled_back():
                self._rehearse(request)
        saved: tuple[User | None, HttpResponse | None] = super().try_save(request)
        return saved

    def _rehearse(self, request: HttpRequest) -> None:
        email = self.cleaned_data["email"]
        try:
            self.cleaned_data["email"] = f"{get_random_string(24).lower()}@{NOBODYS_DOMAIN}"
            self.account_already_exists = False
            user = self.save(request)
            user_signed_up.send(sender=User, request=request, user=user)
        finally:
            self.cleaned_data["email"], self.account_already_exists = email, True


class ProviderForm(JoinFields, ProviderSignupForm):
    """Signing up with an account elsewhere. `accounts` names it in SOCIALACCOUNT_FORMS."""

    def custom_signup(self, request: HttpRequest, user: Any) -> None:
        self.signup(request, user)


def _check(field: str, text: str) -> None:
    if not text.strip():
        what = "your join code" if field == "join_code" else "the name of the group, or give a join code"
        raise Refused(f"Write {what}.")
    if field == "join_code":
        find_usable_code(text)
    else:
        check_new_group_name(text)

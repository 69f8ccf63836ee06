"""Sign-up forms: beside an address and a password, a name and the group that the person wants to join."""

from typing import Any

from allauth.account.forms import SignupForm as AccountSignupForm
from allauth.account.signals import user_signed_up
from allauth.socialaccount.forms import SignupForm as ProviderSignupForm
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string

from control_plane.access.groups.join_policy import MAX_NAME_CHARACTERS, check_new_group_name
from control_plane.access.groups.services.join_codes import find_usable_code
from control_plane.access.groups.services.joining import ask_to_join
from control_plane.accounts.equal_timing import rolled_back
from control_plane.accounts.models import User
from control_plane.accounts.name_field import NameField
from control_plane.accounts.validation import validate_name, validate_person_name
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused

# A code of 24 letters with room for the separators that people write.
MAX_CODE_CHARACTERS = 64
# Nobody can own it: the top-level domain `invalid` is reserved (RFC 2606).
NOBODYS_DOMAIN = "nobody.invalid"


class JoinFields(forms.Form):
    """Fields and rules that both ways to sign up share. A request that would be refused is refused before an account is made."""

    name = NameField(max_length=MAX_NAME_CHARACTERS, label="Your name", validators=[validate_person_name])
    use_code = forms.BooleanField(required=False, label="I have a join code")
    join_code = forms.CharField(
        max_length=MAX_CODE_CHARACTERS,
        required=False,
        label="Join code",
        help_text="Your group’s manager gives you one.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )
    requested_group = NameField(
        max_length=MAX_NAME_CHARACTERS,
        required=False,
        label="New group’s name",
        help_text="An administrator looks at it. To join a group that exists, ask its manager for a code.",
        validators=[validate_name],
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        # A field that has an error already is not checked again.
        field = "join_code" if data.get("use_code") else "requested_group"
        if field in data:
            try:
                _check(field, data[field])
            except Refused as refusal:
                self.add_error(field, str(refusal))
        return data

    def signup(self, request: HttpRequest, user: User) -> None:
        """Save the name, and request the group. The request waits until the address is verified."""
        data = self.cleaned_data
        user.name = data["name"]
        user.save(update_fields=["name"])
        request_for = {"code": data["join_code"]} if data["use_code"] else {"new_group_name": data["requested_group"]}
        actor = Actor(label=user.email, channel="web", user=user, address=request.META.get("REMOTE_ADDR") or None)
        try:
            ask_to_join(user=user, actor=actor, is_verified=False, **request_for)
        except Refused as refusal:
            # The code was used up, or the name taken, meanwhile. The account exists, and its home page asks again.
            messages.warning(request, str(refusal))


class SignupForm(JoinFields, AccountSignupForm):
    """Sign-up with an address and a password. ACCOUNT_FORMS names it."""

    def custom_signup(self, request: HttpRequest, user: Any) -> None:
        self.signup(request, user)

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Make the account, or, where the address has one, do the same work and undo it: the response time must not tell."""
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
    """Sign-up with an account elsewhere. SOCIALACCOUNT_FORMS names it."""

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

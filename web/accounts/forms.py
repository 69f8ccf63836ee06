"""Forms of the account's own pages. The services validate what the values mean."""

from allauth.account.adapter import get_adapter
from allauth.account.fields import EmailField
from allauth.account.models import EmailAddress
from allauth.core import ratelimit
from django import forms
from django.contrib import messages
from django.http import HttpRequest

from control_plane.accounts.adapter import site_address
from control_plane.accounts.models import User
from control_plane.accounts.name_field import NameField
from control_plane.accounts.services.addresses import is_taken, make_link_token


class NameForm(forms.Form):
    """A display name."""

    name = NameField(max_length=120, required=False, label="Your name", widget=forms.TextInput(attrs={"autocomplete": "name"}))


class DeletionForm(forms.Form):
    """Typed address of the account, so that nobody deletes it by accident."""

    typed_email = forms.CharField(
        max_length=254, label="Type your e-mail address", widget=forms.TextInput(attrs={"autocomplete": "off", "type": "email"})
    )


class ChangeAddressForm(forms.Form):
    """New address of the account. allauth's page shows the form; a link goes to the new address."""

    email = EmailField(label="New e-mail address")

    def __init__(self, user: User | None = None, *args: object, **kwargs: object) -> None:
        self.user = user
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def clean_email(self) -> str:
        email: str = get_adapter().clean_email(self.cleaned_data["email"])
        if self.user is not None and email == self.user.email:
            raise forms.ValidationError("That is your address already.", code="same")
        return email

    def save(self, request: HttpRequest) -> EmailAddress:
        """Send the link; the page says what happens next. Only its owner is told that an address is taken."""
        email, adapter = self.cleaned_data["email"], get_adapter(request)
        assert self.user is not None  # noqa: S101 (allauth's page needs somebody signed in)
        if not ratelimit.consume(request, action="confirm_email", key=email):
            said = f"A link to {email} was asked for a moment ago. No other was sent; wait three minutes, then try again."
            adapter.add_message(request, messages.WARNING, message=said)
        elif is_taken(email, by_other_than=self.user):
            adapter.send_mail("account/email/account_already_exists", email, {})
        else:
            link = site_address("account_change_address", make_link_token(self.user, email))
            adapter.send_mail("account/email/address_change", email, {"activate_url": link, "user": self.user})
        return EmailAddress(email=email)

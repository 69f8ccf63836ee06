"""allauth's forms that set a password, with the offer to replace the person's access keys in the same step."""

from typing import Any

from allauth.account import forms as account
from allauth.core import context
from django import forms

from control_plane.access.people.sign_outs import memberships_with_key
from control_plane.accounts.models import User


class ReplaceKeysForm(forms.Form):
    """Tick box for people who hold access keys; others see no field."""

    def __init__(self, *args: Any, user: User | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if user is not None and (held := memberships_with_key(user)):
            groups = ", ".join(membership.group.name for membership in held)
            self.fields["replace_keys"] = forms.BooleanField(
                required=False,
                label=f"Replace my access key too ({groups})",
                help_text="An old key stops as the new one is there, within minutes; programs need the new one then.",
            )

    @property
    def wants_new_keys(self) -> bool:
        """True if the person ticked the box."""
        return bool(self.cleaned_data.get("replace_keys"))


class _WithKeys:
    """Mix-in for the forms that set a password. The adapter replaces the keys together with the password."""

    fields: dict[str, forms.Field]
    cleaned_data: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields |= ReplaceKeysForm(user=getattr(self, "user", None)).fields

    def save(self) -> None:
        context.request.replace_keys = bool(self.cleaned_data.get("replace_keys"))
        super().save()  # type: ignore[misc]


class ChangePasswordForm(_WithKeys, account.ChangePasswordForm):
    """Form to change the password."""


class SetPasswordForm(_WithKeys, account.SetPasswordForm):
    """Form to set the first password."""


class NewPasswordForm(_WithKeys, account.ResetPasswordKeyForm):
    """Form to set a password by the link in an e-mail."""

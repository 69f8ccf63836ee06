"""Forms of the groups' pages. The services validate what the values mean."""

from typing import Any

from django import forms

from control_plane.access.groups.join_policy import MAX_NAME_CHARACTERS
from control_plane.access.groups.models import Access
from control_plane.access.groups.services.join_codes import DEFAULT_DAYS, MAX_DAYS, MAX_USES
from control_plane.access.groups.services.joining import MAX_NOTE_CHARACTERS
from control_plane.access.groups.signup import MAX_CODE_CHARACTERS
from control_plane.accounts.name_field import NameField


class AskForm(forms.Form):
    """Join code, or name of a new group."""

    code = forms.CharField(max_length=MAX_CODE_CHARACTERS, required=False)
    new_group = NameField(max_length=MAX_NAME_CHARACTERS, required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and bool(data.get("code")) == bool(data.get("new_group")):
            raise forms.ValidationError("Write either a join code or the name of a new group. Nothing was changed.")
        return data


class ApproveForm(forms.Form):
    """Access method, manager role, and, for a new group, its slug."""

    access = forms.ChoiceField(choices=Access.choices, required=False)
    as_manager = forms.BooleanField(required=False)
    new_group_slug = forms.CharField(max_length=32, required=False)

    def clean_access(self) -> Access:
        return Access(self.cleaned_data["access"] or Access.FEDERATED)


class DeclineForm(forms.Form):
    """Note to the person."""

    note = forms.CharField(max_length=MAX_NOTE_CHARACTERS, required=False)


class EndForm(forms.Form):
    """Last day of a membership; empty for no end."""

    ends_on = forms.DateField(required=False)


class AccessForm(forms.Form):
    """Access method of a member."""

    access = forms.ChoiceField(choices=Access.choices)


class MoveForm(forms.Form):
    """Slug of the group to move to, and the access method there; empty keeps it."""

    to = forms.CharField(max_length=32)
    access = forms.ChoiceField(choices=Access.choices, required=False)

    def clean_access(self) -> Access | None:
        return Access(self.cleaned_data["access"]) if self.cleaned_data["access"] else None


class CodeForm(forms.Form):
    """Lifetime in days of a join code, and its number of uses."""

    days = forms.IntegerField(min_value=1, max_value=MAX_DAYS, initial=DEFAULT_DAYS)
    most_uses = forms.IntegerField(min_value=1, max_value=MAX_USES, required=False)

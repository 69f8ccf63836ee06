"""What the pages about groups ask for. Whether it makes sense is the services' word."""

from typing import Any

from django import forms

from control_plane.access.groups.join_policy import MAX_NAME_CHARACTERS
from control_plane.access.groups.models import Access
from control_plane.access.groups.services.join_codes import DEFAULT_DAYS, MAX_DAYS, MAX_USES
from control_plane.access.groups.services.joining import MAX_NOTE_CHARACTERS
from control_plane.access.groups.signup import MAX_CODE_CHARACTERS
from control_plane.accounts.name_field import NameField


class AskForm(forms.Form):
    """A join code, or the name of a new group."""

    code = forms.CharField(max_length=MAX_CODE_CHARACTERS, required=False)
    new_group = NameField(max_length=MAX_NAME_CHARACTERS, required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and bool(data.get("code")) == bool(data.get("new_group")):
            raise forms.ValidationError("Write either a join code or the name of a new group. Nothing was changed.")
        return data


class ApproveForm(forms.Form):
    """How the person gets in, whether they manage the group, and, for a new group, its slug."""

    access = forms.ChoiceField(choices=Access.choices, required=False)
    as_manager = forms.BooleanField(required=False)
    new_group_slug = forms.CharField(max_length=32, required=False)

    def clean_access(self) -> Access:
        return Access(self.cleaned_data["access"] or Access.FEDERATED)


class DeclineForm(forms.Form):
    """What the person is told."""

    note = forms.CharField(max_length=MAX_NOTE_CHARACTERS, required=False)


class EndForm(forms.Form):
    """The last day of a membership; none, no end."""

    ends_on = forms.DateField(required=False)


class AccessForm(forms.Form):
    """How a member gets in."""

    access = forms.ChoiceField(choices=Access.choices)


class MoveForm(forms.Form):
    """The slug of the group to move to, and how the person gets in there; as before, if it is not said."""

    to = forms.CharField(max_length=32)
    access = forms.ChoiceField(choices=Access.choices, required=False)

    def clean_access(self) -> Access | None:
        return Access(self.cleaned_data["access"]) if self.cleaned_data["access"] else None


class CodeForm(forms.Form):
    """How long a code works, and for how many people."""

    days = forms.IntegerField(min_value=1, max_value=MAX_DAYS, initial=DEFAULT_DAYS)
    most_uses = forms.IntegerField(min_value=1, max_value=MAX_USES, required=False)

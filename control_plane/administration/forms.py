"""What the administration's pages ask for. Whether it makes sense is the services' word."""

from typing import Any

from django import forms
from django.db.models import Q
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from control_plane.access.groups.models import Access, Analysis, Grant, Group
from control_plane.accounts.name_field import NameField
from control_plane.accounts.validation import fold_name


class GroupInput(UnfoldAdminTextInputWidget):
    """A group's slug, with the first few that fit what is typed: the page is the same size with ten groups and ten thousand."""

    template_name = "admin/cohort/group_input.html"

    def __init__(self) -> None:
        super().__init__(attrs={"list": "group-options", "autocomplete": "off"})


class AddToGroupForm(forms.Form):
    """An existing group, or the slug of a new one; and how the people get in."""

    group = forms.CharField(
        required=False,
        max_length=120,
        label="Existing group",
        help_text="Type its slug or name. Leave it empty to make a new group, named below.",
        widget=GroupInput,
    )
    new_slug = forms.CharField(
        required=False,
        max_length=32,
        label="New group’s slug",
        help_text="2 to 32 of a-z, 0-9 and hyphens. It names the group on AWS and cannot be changed.",
        widget=UnfoldAdminTextInputWidget,
    )
    new_name = NameField(
        required=False,
        max_length=120,
        label="New group’s name",
        help_text="What people call it.",
        widget=UnfoldAdminTextInputWidget,
    )
    access = forms.ChoiceField(choices=Access.choices, initial=Access.FEDERATED, widget=UnfoldAdminRadioSelectWidget)
    as_managers = forms.BooleanField(
        required=False,
        label="As managers of the group",
        help_text="Managers decide who else is in it.",
        widget=UnfoldBooleanWidget,
    )

    def clean_group(self) -> Group | None:
        wanted = self.cleaned_data["group"].strip()
        if not wanted:
            return None
        if group := Group.objects.filter(Q(slug=wanted) | Q(folded_name=fold_name(wanted))).first():
            return group
        raise forms.ValidationError(
            f"There is no group {wanted!r}. Nothing was changed; choose one that is proposed, or make a new one below."
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and bool(data.get("group")) == bool(data.get("new_slug")):
            raise forms.ValidationError(
                "Choose either an existing group or the slug of a new one. Nothing was changed.", code="one_group"
            )
        return data


class RemoveFromGroupForm(forms.Form):
    """One of the groups that the selected people are in."""

    group = forms.ModelChoiceField(Group.objects.none(), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, user_ids: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups = Group.objects.filter(memberships__user__in=user_ids, memberships__removed_generation__isnull=True).distinct()
        self.fields["group"].queryset = groups  # type: ignore[attr-defined]
        some = list(groups[:2])
        self.has_groups = bool(some)
        if len(some) == 1:
            self.fields["group"].initial = some[0]


class NewGroupForm(forms.Form):
    """A group to make."""

    slug = forms.CharField(
        max_length=32,
        help_text="2 to 32 of a-z, 0-9 and hyphens. It names the group on AWS and cannot be changed.",
        widget=UnfoldAdminTextInputWidget,
    )
    name = NameField(max_length=120, required=False, help_text="What people call it.", widget=UnfoldAdminTextInputWidget)


class NewAnalysisForm(forms.Form):
    """An analysis to make, with its bucket."""

    slug = forms.CharField(max_length=32, help_text="2 to 32 of a-z, 0-9 and hyphens.", widget=UnfoldAdminTextInputWidget)
    name = NameField(max_length=120, required=False, help_text="What people call it.", widget=UnfoldAdminTextInputWidget)
    bucket = forms.CharField(
        max_length=63,
        help_text="The S3 bucket, which is made. No one else in the world may have it.",
        widget=UnfoldAdminTextInputWidget,
    )


class GrantForm(forms.Form):
    """The analysis that a group may use, and to what extent."""

    analysis = forms.ModelChoiceField(Analysis.objects.offered(), widget=UnfoldAdminSelectWidget)
    level = forms.ChoiceField(choices=Grant.Level.choices, initial=Grant.Level.READ_WRITE, widget=UnfoldAdminRadioSelectWidget)


class RevokeForm(forms.Form):
    """One of the analyses that the group has."""

    analysis = forms.ModelChoiceField(Analysis.objects.none(), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, group: Group, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["analysis"].queryset = Analysis.objects.filter(  # type: ignore[attr-defined]
            grants__group=group, grants__removed_generation__isnull=True
        )

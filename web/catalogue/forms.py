"""Forms of the catalogue's pages. The services validate what the values mean."""

from typing import Any

from django import forms

from control_plane.access.groups.models import Analysis, Grant
from control_plane.research.catalogue.models import Entry

MONOSPACE = {"class": "form-control font-monospace", "spellcheck": "false", "wrap": "off"}


class EntryForm(forms.ModelForm):  # type: ignore[type-arg]
    """Entry of an analysis."""

    class Meta:
        model = Entry
        fields = (
            "summary",
            "description",
            "paper_url",
            "source_url",
            "demo_url",
            "template",
            "schema",
            "instance_type",
            "is_custom",
        )
        labels = {
            "paper_url": "Paper",
            "source_url": "Source code",
            "demo_url": "Demonstration",
            "template": "Template of its configurations",
            "schema": "Schema of its configurations",
            "is_custom": "Made for certain groups",
        }
        widgets = {
            "summary": forms.TextInput(attrs={"class": "form-control"}),
            "description": forms.Textarea(attrs={"class": "form-control", "rows": 10}),
            "paper_url": forms.URLInput(attrs={"class": "form-control", "placeholder": "https://"}),
            "source_url": forms.URLInput(attrs={"class": "form-control", "placeholder": "https://"}),
            "demo_url": forms.URLInput(attrs={"class": "form-control", "placeholder": "https://"}),
            "template": forms.Textarea(attrs={**MONOSPACE, "rows": 12}),
            "schema": forms.Textarea(attrs={**MONOSPACE, "rows": 8}),
            "instance_type": forms.TextInput(attrs={"class": "form-control"}),
            "is_custom": forms.CheckboxInput(attrs={"class": "form-check-input"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("description", "template", "schema"):
            # The indentation of the first line matters in YAML and in Markdown.
            self.fields[name].strip = False  # type: ignore[attr-defined]


class GrantManyForm(forms.Form):
    """Analyses to grant to several groups, and the access level."""

    which = forms.ChoiceField(
        label="Analyses",
        choices=(
            ("default", "The default ones"),
            ("all", "All, those made for certain groups too"),
            ("some", "Those that are marked below"),
        ),
        initial="default",
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )
    analyses = forms.ModelMultipleChoiceField(
        queryset=Analysis.objects.offered(),
        to_field_name="slug",
        required=False,
        label="These",
        widget=forms.SelectMultiple(attrs={"class": "form-select", "size": 8}),
    )
    level = forms.ChoiceField(
        label="They may",
        choices=Grant.Level.choices,
        initial=Grant.Level.READ_WRITE,
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )

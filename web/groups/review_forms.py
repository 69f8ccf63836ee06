"""Forms of the review's pages."""

from datetime import datetime

from django import forms
from django.core.exceptions import ValidationError


class SignForm(forms.Form):
    """Note, and the time of the scan that the page showed when it was opened."""

    note = forms.CharField(
        required=False,
        max_length=1000,
        label="Note",
        help_text="For example, what is going to be corrected. Kept with your name.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "form-control"}),
    )
    looked_at = forms.CharField(widget=forms.HiddenInput, max_length=40)

    def clean_looked_at(self) -> datetime:
        try:
            return datetime.fromisoformat(self.cleaned_data["looked_at"])
        except ValueError as error:
            raise ValidationError("Open the page again, read it, then sign. Nothing was signed.") from error

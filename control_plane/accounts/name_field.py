"""Form field of a name."""

from typing import Any

from django import forms

from control_plane.accounts.validation import tidy_name


class NameField(forms.CharField):
    """A name, normalised to NFC before its length is checked: in the decomposed form that macOS sends it is longer."""

    def to_python(self, value: Any) -> str:
        """Return the name in the form that is stored."""
        return tidy_name(super().to_python(value) or "")

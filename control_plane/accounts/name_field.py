"""The form field of a name."""

from typing import Any

from django import forms

from control_plane.accounts.validation import tidy_name


class NameField(forms.CharField):
    """A name, composed before it is counted and checked: decomposed, as macOS hands names over, it is longer."""

    def to_python(self, value: Any) -> str:
        """Return the name as it is kept."""
        return tidy_name(super().to_python(value) or "")

"""Forms of the pages about keys. The services validate what the forms cannot."""

from datetime import timedelta

from django import forms

from control_plane.access.groups.services.keys import DEFAULT_OVERLAP, OldKey

OVERLAPS = (
    (0, "none: the old key stops as the new one is there"),
    (1, "1 day"),
    (3, "3 days"),
    (7, "7 days"),
    (14, "14 days"),
    (30, "30 days"),
)


class OverlapForm(forms.Form):
    """Overlap: how long an old key works beside the new one."""

    overlap = forms.ChoiceField(choices=OVERLAPS, initial=DEFAULT_OVERLAP.days, required=False)

    def clean_overlap(self) -> timedelta:
        days = self.cleaned_data["overlap"]
        return timedelta(days=int(days)) if days else DEFAULT_OVERLAP


class OldKeyForm(OverlapForm):
    """Decision about an old key and, where it is reactivated, for how long."""

    wish = forms.TypedChoiceField(choices=[(wish.value, wish.value) for wish in OldKey], coerce=OldKey)

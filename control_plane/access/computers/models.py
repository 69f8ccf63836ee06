"""Record of the access keys that were shown to their holders."""

from django.db import models

from control_plane.access.groups.models import Membership


class KeyReveal(models.Model):
    """A member's key of one serial was shown to them: that happens once. The key itself is not here."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="key_reveals")
    key_serial = models.PositiveIntegerField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("membership", "key_serial"), name="one_reveal_per_key"),)

    def __str__(self) -> str:
        return f"key {self.key_serial} of {self.membership}"

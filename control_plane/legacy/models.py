"""What was taken over from the predecessor: each of its IAM groups, and the access keys that people hold from there."""

from typing import Self

from django.db import models

from control_plane.accounts.models import User
from control_plane.groups.models import Group, Membership


class Adoption(models.Model):
    """One of the predecessor's groups on its way into ours. How far it has come is seen on AWS; this says what belongs to it."""

    stack_name = models.CharField(max_length=128, help_text="The predecessor's CloudFormation stack.")
    stack_id = models.CharField(max_length=256, help_text="Its ARN, by which it is told from a later one of that name.")
    region = models.CharField(max_length=32)
    old_group = models.CharField(max_length=128, help_text="The predecessor's IAM group.")
    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="adoptions")
    resources = models.JSONField(help_text="What leaves the old stack: physical ids by logical ids.")
    people = models.JSONField(help_text="Each IAM user: old name, unique id, key's id, new username, and the person's row.")
    created_by = models.CharField(max_length=320)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=("stack_id", "old_group"), name="one_adoption_per_old_group"),)

    def __str__(self) -> str:
        return f"{self.old_group} into {self.group}"


class AdoptedKeyQuerySet(models.QuerySet["AdoptedKey"]):
    """Keys of the predecessor, by what is to be done about them."""

    def there(self) -> Self:
        """Those that AWS holds still."""
        return self.exclude(state=AdoptedKey.State.REMOVED)


class AdoptedKey(models.Model):
    """An access key that the predecessor made. CloudFormation does not know of it, so Cohort removes it itself."""

    class State(models.TextChoices):
        """What becomes of it."""

        IN_USE = "in-use", "works"
        REMOVING = "removing", "is being removed"
        REMOVED = "removed", "removed"

    membership = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="adopted_keys")
    access_key_id = models.CharField(max_length=128, unique=True, help_text="Not secret: it only names the key.")
    old_user = models.CharField(max_length=64, help_text="What its IAM user was called before.")
    state = models.CharField(max_length=16, choices=State, default=State.IN_USE)
    adopted_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True)

    objects = AdoptedKeyQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.access_key_id} of {self.membership}"

    @property
    def person(self) -> User:
        """Whose it is."""
        return self.membership.user

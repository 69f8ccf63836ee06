"""Adoptions of the predecessor's IAM groups. The keys that came along are in `access.keys.models`."""

from django.db import models

from control_plane.access.groups.models import Group


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

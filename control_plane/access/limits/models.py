"""Models of the account's limits, as AWS last told them. The limits of one group need no rows: its manifest has them."""

from django.db import models


class Reading(models.Model):
    """The last reading of an account's quotas, and how it ended."""

    account = models.CharField(max_length=12, unique=True)
    asked_at = models.DateTimeField(help_text="When a worker was last told to ask.")
    read_at = models.DateTimeField(null=True, help_text="When AWS last answered.")
    error = models.CharField(max_length=500, blank=True, help_text="Why it did not answer the last time.")

    def __str__(self) -> str:
        return f"account {self.account}"


class Usage(models.Model):
    """The account's use of one quota, in one region or, where that is empty, in all."""

    account = models.CharField(max_length=12)
    region = models.CharField(max_length=32, blank=True)
    name = models.CharField(max_length=40, help_text="Of `catalogue.QUOTAS`.")
    used = models.PositiveIntegerField(null=True, help_text="None where AWS tells the limit alone.")
    ours = models.PositiveIntegerField(default=0, help_text="How much of it was Cohort's own at that moment, by its rows.")
    limit = models.PositiveIntegerField(null=True, help_text="None where AWS does not tell it.")
    read_at = models.DateTimeField()

    class Meta:
        ordering = ("account", "region", "name")
        constraints = (models.UniqueConstraint(fields=("account", "region", "name"), name="one_usage_per_quota"),)

    def __str__(self) -> str:
        return f"{self.name} of {self.account}"

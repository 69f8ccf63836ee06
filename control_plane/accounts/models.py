"""The user model: a person who can sign in, identified by e-mail address."""

from collections.abc import Collection
from typing import Any, ClassVar

from allauth.account.models import EmailAddress
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from control_plane.accounts.validation import tidy_name, validate_email, validate_name, validate_person_name


class UserManager(BaseUserManager["User"]):
    """Manager of people. Addresses are kept in lower case, so that one person is not two."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a person, whose address counts as verified; without a password they set one by e-mail. Raises ValidationError."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        with transaction.atomic():
            user.save(using=self._db)
            trust_address(user)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create an administrator."""
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the person with this address, in any case."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. What they asked for at sign-up stays editable by an administrator until they are in a group."""

    email = models.EmailField("e-mail address", unique=True, validators=[validate_email])
    name = models.CharField(max_length=120, blank=True, validators=[validate_person_name])
    is_active = models.BooleanField(
        "active",
        default=True,
        help_text="Whether this person can sign in. Access on AWS is separate: remove them from their groups to end it.",
    )
    is_staff = models.BooleanField("staff", default=False, help_text="With superuser status too, this person is an administrator.")
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    requested_group = models.CharField(
        max_length=120,
        blank=True,
        validators=[validate_name],
        help_text="The group that this person asked for, by slug or name; “Add to group” proposes it.",
    )
    requested_group_code = models.CharField(
        max_length=64, blank=True, help_text="The join code given at sign-up, if any. It decides the requested group only then."
    )
    use_code = models.BooleanField(
        "use the code", default=False, help_text="Whether sign-up went by the code rather than by the group's name."
    )

    signed_out_at = models.DateTimeField(
        null=True, editable=False, help_text="When this person signed out everywhere, or their password changed, last."
    )
    deletion_requested_at = models.DateTimeField(
        "deletion asked for", null=True, editable=False, help_text="When this person asked for their account to be deleted."
    )
    erased_at = models.DateTimeField("erased", null=True, editable=False, help_text="When name and address were erased.")

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"
        ordering = ("email",)
        constraints = (models.UniqueConstraint(Lower("email"), name="accounts_user_email_ci"),)

    def __str__(self) -> str:
        return self.email

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Validate the fields. An unchanged name stays valid, even if the rules have changed."""
        kept = User.objects.filter(pk=self.pk).values("name", "requested_group").first() if self.pk else None
        same = {field for field, value in (kept or {}).items() if getattr(self, field) == value}
        super().clean_fields(exclude={*(exclude or ()), *same})

    def clean(self) -> None:
        super().clean()
        self.email, self.name = self.email.strip().lower(), tidy_name(self.name)

    def get_full_name(self) -> str:
        """Return the person's name, else the address."""
        return self.name or self.email

    def get_short_name(self) -> str:
        """Return the person's name, else the part of the address before the @."""
        return self.name or self.email.split("@")[0]


def trust_address(user: User) -> None:
    """Mark the person's address as verified, because an administrator vouches for it, and as the only one that they have."""
    EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()
    EmailAddress.objects.filter(email=user.email).exclude(user=user).delete()
    EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})

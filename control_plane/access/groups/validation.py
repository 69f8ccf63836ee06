"""Django validators for names on AWS; the rules themselves are those of the manifest."""

from django.core.exceptions import ValidationError

from stacks import names


def validate_slug(slug: str) -> None:
    """Raise ValidationError for a slug that cannot name a group on AWS."""
    try:
        names.check_slug(slug)
    except names.NameRefused as error:
        raise ValidationError(str(error), code="slug") from error


def validate_bucket(bucket: str) -> None:
    """Raise ValidationError for a bucket name that S3 would not take or that is reserved."""
    try:
        names.check_bucket(bucket)
    except names.NameRefused as error:
        raise ValidationError(str(error), code="bucket") from error

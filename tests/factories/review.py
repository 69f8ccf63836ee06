"""What the access review keeps."""

from django.utils import timezone
from factory.declarations import LazyFunction, Sequence
from factory.django import DjangoModelFactory

from control_plane.access.review.models import Scan, UnmanagedResource


class ScanFactory(DjangoModelFactory[Scan]):
    """The last scan of what belongs to no group, or of `group`: asked for and done a moment ago."""

    class Meta:
        model = Scan

    group = None
    asked_at = LazyFunction(timezone.now)
    finished_at = LazyFunction(timezone.now)


class UnmanagedResourceFactory(DjangoModelFactory[UnmanagedResource]):
    """A stack that AWS holds and the database does not know, as found: not read yet."""

    class Meta:
        model = UnmanagedResource

    kind = UnmanagedResource.Kind.STACK
    name = Sequence(lambda number: f"Group-lab-{number}")

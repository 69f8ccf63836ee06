"""Cleaning of old records of uploads that arrived or were abandoned; the files themselves are in S3."""

from datetime import timedelta

from django.utils import timezone

from control_plane.base.cleaning import register_cleanup, remove_in_steps
from control_plane.base.config import config
from control_plane.research.uploads.models import Upload


@register_cleanup("ended uploads")
def remove_ended_uploads() -> int:
    """Remove the rows of uploads that ended long ago; unfinished ones stay, for they can be resumed. Returns the count."""
    before = timezone.now() - timedelta(days=config().cleanup_upload_days)
    ended = Upload.objects.exclude(state=Upload.State.SENDING)
    return remove_in_steps(ended.filter(ended_at__lt=before))

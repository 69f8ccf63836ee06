"""Folder and session of a page's API calls."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Schema

from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.deployments.iam_delay import settles_at
from control_plane.research.storage.group_folder import GroupFolder, find_group_folder
from control_plane.research.storage.sessions import Purpose, hand_out


class PageSession(Schema):
    """Short-lived credentials, and where to use them. `now` is the server's clock, by which requests are signed.

    Until `settles` S3's refusals may only be IAM's delay.
    """

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires: datetime
    now: datetime
    settles: datetime | None = None
    address: str
    region: str
    bucket: str
    prefix: str


def page_folder(request: HttpRequest, group: str, analysis: str) -> GroupFolder:
    """Return the folder of this group and analysis for the person who asks. Raises what `find_group_folder` raises."""
    # Whoever is not signed in was turned away before.
    assert isinstance(request.user, User)  # noqa: S101
    return find_group_folder(group_slug=group, analysis_slug=analysis, user=request.user)


def page_session(request: HttpRequest, response: HttpResponse, folder: GroupFolder, purpose: Purpose) -> PageSession:
    """Hand out credentials for this purpose, in a response that is not stored. Raises what `hand_out` raises."""
    given = hand_out(folder, purpose, Actor.of_request(request))
    response["Cache-Control"] = "no-store"
    return PageSession(
        access_key_id=given.access_key_id,
        secret_access_key=given.secret_access_key,
        session_token=given.session_token or "",
        expires=given.expiration or timezone.now(),
        now=timezone.now(),
        settles=settles_at(folder.group.stack_id),
        address=folder.address,
        region=folder.region,
        bucket=folder.bucket,
        prefix=folder.prefix,
    )

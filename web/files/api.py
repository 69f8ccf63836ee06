"""What the file browser asks the control plane."""

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Field, Router, Schema

from control_plane.accounts.models import User
from control_plane.audit.actors import Actor
from control_plane.storage.objects import MOST_KEYS, Deletion, Outcome, delete, restore
from control_plane.storage.places import Place, find_place
from control_plane.storage.sessions import Purpose, hand_out

router = Router(tags=["files"])

# S3's keys have up to 1,024 bytes (S3 user guide, "Naming Amazon S3 objects"), version ids as well.
Key = Annotated[str, Field(min_length=1, max_length=1024)]


class Session(Schema):
    """Credentials that read and list one folder of one bucket, and the server's own time."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires: datetime
    now: datetime
    address: str
    region: str
    bucket: str
    prefix: str


class Keys(Schema):
    """What to delete."""

    keys: Annotated[list[Key], Field(min_length=1, max_length=MOST_KEYS)]


class Marker(Schema):
    """A deletion to undo."""

    key: Key
    version: Key


class Markers(Schema):
    """What to bring back."""

    items: Annotated[list[Marker], Field(min_length=1, max_length=MOST_KEYS)]


class Done(Schema):
    """What became of one key. `marker` undoes it; with an `error` nothing was done."""

    key: str
    marker: str
    error: str


class Outcomes(Schema):
    """What became of each key."""

    items: list[Done]


@router.post("{group}/{analysis}/session", response=Session, url_name="files-session")
def session(request: HttpRequest, response: HttpResponse, group: str, analysis: str) -> Session:
    """Hand out what the page needs to read this folder straight from S3."""
    place = _place(request, group, analysis)
    credentials = hand_out(place, Purpose.BROWSE, Actor.of_request(request))
    response["Cache-Control"] = "no-store"
    return Session(
        access_key_id=credentials.access_key_id,
        secret_access_key=credentials.secret_access_key,
        session_token=credentials.session_token or "",
        expires=credentials.expiration or timezone.now(),
        now=timezone.now(),
        address=place.address,
        region=place.region,
        bucket=place.bucket,
        prefix=place.prefix,
    )


@router.post("{group}/{analysis}/delete", response=Outcomes, url_name="files-delete")
def delete_files(request: HttpRequest, group: str, analysis: str, body: Keys) -> Outcomes:
    """Delete up to a thousand files so that they can be brought back."""
    place = _place(request, group, analysis)
    return _outcomes(delete(place, list(dict.fromkeys(body.keys)), Actor.of_request(request)))


@router.post("{group}/{analysis}/restore", response=Outcomes, url_name="files-restore")
def restore_files(request: HttpRequest, group: str, analysis: str, body: Markers) -> Outcomes:
    """Undo up to a thousand deletions."""
    place = _place(request, group, analysis)
    deletions = [Deletion(item.key, item.version) for item in body.items]
    return _outcomes(restore(place, list(dict.fromkeys(deletions)), Actor.of_request(request)))


def _place(request: HttpRequest, group: str, analysis: str) -> Place:
    # Whoever is not signed in was turned away before.
    assert isinstance(request.user, User)  # noqa: S101
    return find_place(group_slug=group, analysis_slug=analysis, user=request.user)


def _outcomes(found: list[Outcome]) -> Outcomes:
    return Outcomes(items=[Done(key=one.key, marker=one.marker, error=one.error) for one in found])

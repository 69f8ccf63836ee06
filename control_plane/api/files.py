"""Endpoints for the file browser."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema

from control_plane.base.audit.actors import Actor
from control_plane.research.storage.objects import MAX_KEYS, Deletion, KeyOutcome, delete_objects, restore_objects
from control_plane.research.storage.page_session import PageSession, page_folder, page_session
from control_plane.research.storage.sessions import Purpose

# The operation ids stay as they were first published: clients made from the OpenAPI document name their functions by them.
router = Router(tags=["files"])

# S3's keys have up to 1,024 bytes (S3 user guide, "Naming Amazon S3 objects"), version ids as well.
Key = Annotated[str, Field(min_length=1, max_length=1024)]


class Keys(Schema):
    """Keys to delete."""

    keys: Annotated[list[Key], Field(min_length=1, max_length=MAX_KEYS)]


class Marker(Schema):
    """A deletion to undo."""

    key: Key
    version: Key


class Markers(Schema):
    """Deletions to undo."""

    items: Annotated[list[Marker], Field(min_length=1, max_length=MAX_KEYS)]


class Done(Schema):
    """Outcome of a key. `marker` undoes the deletion; with an `error` nothing was done."""

    key: str
    marker: str
    error: str


class Outcomes(Schema):
    """Outcome of each key."""

    items: list[Done]


@router.post("{group}/{analysis}/session", response=PageSession, url_name="files-session", operation_id="web_files_api_session")
def session(request: HttpRequest, response: HttpResponse, group: str, analysis: str) -> PageSession:
    """Return a session with which the page reads this folder straight from S3."""
    return page_session(request, response, page_folder(request, group, analysis), Purpose.BROWSE)


@router.post("{group}/{analysis}/delete", response=Outcomes, url_name="files-delete", operation_id="web_files_api_delete_files")
def delete_files(request: HttpRequest, group: str, analysis: str, body: Keys) -> Outcomes:
    """Delete up to a thousand files. The deletions can be undone."""
    folder = page_folder(request, group, analysis)
    return _outcomes(delete_objects(folder, list(dict.fromkeys(body.keys)), Actor.of_request(request)))


@router.post("{group}/{analysis}/restore", response=Outcomes, url_name="files-restore", operation_id="web_files_api_restore_files")
def restore_files(request: HttpRequest, group: str, analysis: str, body: Markers) -> Outcomes:
    """Undo up to a thousand deletions."""
    folder = page_folder(request, group, analysis)
    deletions = [Deletion(item.key, item.version) for item in body.items]
    return _outcomes(restore_objects(folder, list(dict.fromkeys(deletions)), Actor.of_request(request)))


def _outcomes(outcomes: list[KeyOutcome]) -> Outcomes:
    return Outcomes(items=[Done(key=outcome.key, marker=outcome.marker, error=outcome.error) for outcome in outcomes])

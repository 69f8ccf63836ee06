"""Endpoints for the upload page: credentials, initiating and completing uploads. The data itself goes straight to S3."""

from typing import Literal

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from ninja.errors import HttpError
from pydantic import Field

from control_plane.base.audit.actors import Actor
from control_plane.base.audit.refusals import record_refusal
from control_plane.base.request_input import RowNumber
from control_plane.research.storage.page_session import PageSession, page_folder, page_session
from control_plane.research.storage.sessions import Purpose
from control_plane.research.uploads import complete, initiate
from control_plane.research.uploads.names import NameRefused

# The operation ids stay as they were first published: clients made from the OpenAPI document name their functions by them.
router = Router(tags=["uploads"])
MAX_IDS = 1000
# Browsers' integers (ECMAScript, Number.MAX_SAFE_INTEGER), and their times: a hundred million days to either side of 1970, in
# milliseconds (ECMAScript, "Time Values and Time Range"). No browser sends others, so no file is refused for them.
MAX_WHOLE, MAX_MILLISECONDS = 2**53 - 1, 8_640_000_000_000_000


class File(Schema):
    """A file as the browser knows it."""

    path: str = Field(max_length=4096)
    size: int = Field(ge=0, le=MAX_WHOLE)
    modified: int = Field(ge=-MAX_MILLISECONDS, le=MAX_MILLISECONDS)
    kind: str = Field("", max_length=200)
    replaces: str = Field("", max_length=100)


class Start(Schema):
    """Files to upload, and their folder."""

    folder: str = Field(max_length=1024)
    files: list[File] = Field(max_length=initiate.MAX_FILES)


class Existing(Schema):
    """The object that S3 holds under the name."""

    size: int
    etag: str
    checksum: str
    modified: str


class Started(Schema):
    """Next step for a file."""

    status: Literal["send", "exists", "same", "refused"]
    key: str
    detail: str
    can_retry: bool
    id: int | None
    upload_id: str
    part_size: int
    is_resumed: bool
    existing: Existing | None


class Sent(Schema):
    """A file of which every part was sent."""

    id: RowNumber
    checksum: str = Field(max_length=8)
    etag: str = Field(max_length=100)
    md5: str = Field("", max_length=32)


class Finish(Schema):
    """Files to complete, if S3 holds them."""

    files: list[Sent] = Field(max_length=initiate.MAX_FILES)


class Ended(Schema):
    """Outcome of a file."""

    id: int
    state: str
    detail: str


class Remove(Schema):
    """Unfinished uploads to remove."""

    ids: list[RowNumber] = Field(max_length=MAX_IDS)


class Removed(Schema):
    """Number of uploads removed."""

    removed: int


@router.post("{group}/{analysis}/session", response=PageSession, operation_id="web_uploads_api_open_session")
def open_session(request: HttpRequest, response: HttpResponse, group: str, analysis: str) -> PageSession:
    """Return credentials that allow sending files into the group's folder and nothing else."""
    return page_session(request, response, page_folder(request, group, analysis), Purpose.UPLOAD)


@router.post("{group}/{analysis}/start", response=list[Started], operation_id="web_uploads_api_start")
def start(request: HttpRequest, group: str, analysis: str, body: Start) -> list[Started]:
    """Initiate uploads, or resume those that were initiated."""
    files = [initiate.NewFile(file.path, file.size, file.modified, file.kind, file.replaces) for file in body.files]
    try:
        answers = initiate.initiate_uploads(page_folder(request, group, analysis), body.folder, files, Actor.of_request(request))
    except NameRefused as refusal:
        # A folder that the page does not offer.
        record_refusal(request, refusal)
        raise HttpError(422, str(refusal)) from refusal
    return [_as_started(answer) for answer in answers]


@router.post("{group}/{analysis}/finish", response=list[Ended], operation_id="web_uploads_api_finish")
def finish(request: HttpRequest, group: str, analysis: str, body: Finish) -> list[Ended]:
    """Complete uploads, after a check of what S3 holds."""
    sent = [complete.SentFile(file.id, file.checksum, file.etag, file.md5) for file in body.files]
    ended = complete.complete_uploads(page_folder(request, group, analysis), sent, Actor.of_request(request))
    return [Ended(id=upload.id, state=upload.state, detail=upload.detail) for upload in ended]


@router.post("{group}/{analysis}/remove", response=Removed, operation_id="web_uploads_api_remove")
def remove(request: HttpRequest, group: str, analysis: str, body: Remove) -> Removed:
    """Remove unfinished uploads."""
    return Removed(removed=complete.remove_uploads(page_folder(request, group, analysis), body.ids, Actor.of_request(request)))


def _as_started(started: initiate.UploadAnswer) -> Started:
    upload, existing = started.upload, started.existing
    return Started(
        status=started.status,
        key=started.key,
        detail=started.detail,
        can_retry=started.can_retry,
        id=upload.pk if upload else None,
        upload_id=upload.upload_id if upload else "",
        part_size=upload.part_size if upload else 0,
        is_resumed=started.is_resumed,
        existing=Existing(size=existing.size, etag=existing.etag, checksum=existing.checksum, modified=existing.modified)
        if existing
        else None,
    )

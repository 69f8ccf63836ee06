"""Pages of a group's files in one analysis, and downloads of selected files as a zip."""

import json

from django.contrib.auth.decorators import login_required
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from control_plane.access.groups.errors import NoCredentials
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import NotFound, Refused
from control_plane.research.files.archive import Archive
from control_plane.research.files.browser import browser_settings
from control_plane.research.files.concurrency import Busy
from control_plane.research.files.single import MAX_FIRST_BYTES, SingleFile, download_name, read_beginning
from control_plane.research.storage.folder_views import requested_folder
from control_plane.research.storage.objects import NoAnswer, record_download

RETRY_SECONDS = 60
BUSY = "The site is sending two other downloads just now, which is as many as it sends at a time."


@require_GET
@login_required
@never_cache
def page(request: HttpRequest, slug: str, analysis: str) -> HttpResponse:
    """Show the files to members of the group; while AWS is still making their access, a page that waits."""
    is_waiting = bool(request.headers.get("HX-Request"))
    try:
        folder = requested_folder(request, slug, analysis)
    except NoCredentials:
        template = "storage/_waiting.html" if is_waiting else "storage/waiting.html"
        return render(request, template, {"group": slug, "analysis": analysis})
    if is_waiting:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "files/page.html", {"place": folder, "browser": browser_settings(request, folder)})


@require_POST
@login_required
def download_zip(request: HttpRequest, slug: str, analysis: str) -> HttpResponse | StreamingHttpResponse:
    """Send the selected files as one zip, streamed. Errors before it starts are shown as a page."""
    path, keys = _chosen(request)
    try:
        folder = requested_folder(request, slug, analysis)
        base = f"{folder.prefix}{path}"
        archive = Archive(folder, base, [base + key for key in keys])
    except Busy:
        return _refusal(request, "The zip was not made", BUSY, status=503)
    except (NoAnswer, NoCredentials) as error:
        return _refusal(request, "The zip was not made", str(error), status=503)
    except Refused as error:
        return _refusal(request, "The zip was not made", str(error), status=409)
    name = f"{(path.rstrip('/') or f'{slug}-{analysis}').rsplit('/', 1)[-1]}.zip"
    try:
        record_download(folder, base, archive.files, Actor.of_request(request))
    except BaseException:
        archive.close()
        raise
    return StreamingHttpResponse(archive, content_type="application/zip", headers=_as_download(name, len(archive)))


@require_GET
@login_required
@never_cache
def download_one(request: HttpRequest, slug: str, analysis: str) -> HttpResponse | StreamingHttpResponse:
    """Send one file by its whole key, for keys that no browser can ask S3 for. `first` limits it to so many bytes."""
    key, first = request.GET.get("key", ""), _first(request)
    try:
        folder = requested_folder(request, slug, analysis)
        if first:
            stored, content = read_beginning(folder, key, first)
            record_download(folder, key, [stored], Actor.of_request(request))
            headers = _as_download(download_name(key), len(content))
            return HttpResponse(content, content_type="application/octet-stream", headers=headers)
        single = SingleFile(folder, key)
    except Busy:
        return _refusal(request, "The file was not sent", BUSY, status=503)
    except (NoAnswer, NoCredentials) as error:
        return _refusal(request, "The file was not sent", str(error), status=503)
    except NotFound as error:
        return _refusal(request, "The file was not sent", str(error), status=404)
    try:
        record_download(folder, key, [single.stored], Actor.of_request(request))
    except BaseException:
        single.close()
        raise
    headers = _as_download(download_name(key), single.stored.size)
    # Whatever it is, it is no page of this site's: it is saved, and never shown.
    return StreamingHttpResponse(single, content_type="application/octet-stream", headers=headers)


def _first(request: HttpRequest) -> int:
    """Return the number of bytes that a preview asks for; 0 for the whole file."""
    wanted = request.GET.get("first", "")
    if not wanted:
        return 0
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= len(str(MAX_FIRST_BYTES))):
        raise SuspiciousOperation("first is not a number of bytes")
    return min(max(1, int(wanted)), MAX_FIRST_BYTES)


def _as_download(name: str, length: int) -> dict[str, str]:
    return {
        "Content-Length": str(length),
        "Content-Disposition": content_disposition_header(as_attachment=True, filename=name) or "attachment",
        "Cache-Control": "no-store",
    }


def _chosen(request: HttpRequest) -> tuple[str, list[str]]:
    """Return the folder, and the names in it, as the page's form sends them.

    A folder's name ends in a slash; an empty name is the whole folder.
    """
    path = request.POST.get("path", "")
    try:
        keys = json.loads(request.POST.get("keys", ""))
        path.encode()
        json.dumps(keys, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise SuspiciousOperation("keys is not a list of names") from error
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        raise SuspiciousOperation("keys is not a list of names")
    if path and not path.endswith("/"):
        raise SuspiciousOperation("path is not a folder")
    return path, keys


def _refusal(request: HttpRequest, title: str, reason: str, *, status: int) -> HttpResponse:
    answer = render(request, "files/not_sent.html", {"title": title, "reason": reason}, status=status)
    if status == 503:
        answer["Retry-After"] = str(RETRY_SECONDS)
    return answer

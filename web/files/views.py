"""The page of a group's files in one analysis, and the zip of what somebody chose there."""

import json

from django.contrib.auth.decorators import login_required
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from control_plane.audit.actors import Actor
from control_plane.groups.errors import GroupsError, NoCredentials
from control_plane.storage.objects import NoAnswer, record_download
from web.files.archive import Archive, Busy
from web.files.places import browser, requested_place

RETRY_SECONDS = 60


@require_GET
@login_required
@never_cache
def page(request: HttpRequest, slug: str, analysis: str) -> HttpResponse:
    """The files, for members of the group; while AWS is still making their access, a page that says so and waits."""
    is_waiting = bool(request.headers.get("HX-Request"))
    try:
        place = requested_place(request, slug, analysis)
    except NoCredentials:
        template = "files/_waiting.html" if is_waiting else "files/waiting.html"
        return render(request, template, {"group": slug, "analysis": analysis})
    if is_waiting:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "files/page.html", {"place": place, "browser": browser(request, place)})


@require_POST
@login_required
def download_zip(request: HttpRequest, slug: str, analysis: str) -> HttpResponse | StreamingHttpResponse:
    """What was chosen, as one zip that is sent while it is read. Anything wrong beforehand is a page that says what."""
    path, keys = _chosen(request)
    try:
        place = requested_place(request, slug, analysis)
        base = f"{place.prefix}{path}"
        archive = Archive(place, base, [base + key for key in keys])
    except Busy:
        context = {"reason": "Two other zips are being sent just now, which is as many as this site makes at a time."}
        return _refusal(request, context, status=503)
    except (NoAnswer, NoCredentials) as error:
        return _refusal(request, {"reason": str(error)}, status=503)
    except GroupsError as error:
        return _refusal(request, {"reason": str(error)}, status=409)
    name = f"{(path.rstrip('/') or f'{slug}-{analysis}').rsplit('/', 1)[-1]}.zip"
    try:
        record_download(place, base, archive.files, Actor.of_request(request))
    except BaseException:
        archive.close()
        raise
    return StreamingHttpResponse(
        archive,
        content_type="application/zip",
        headers={
            "Content-Length": str(len(archive)),
            "Content-Disposition": content_disposition_header(as_attachment=True, filename=name) or "attachment",
            "Cache-Control": "no-store",
        },
    )


def _chosen(request: HttpRequest) -> tuple[str, list[str]]:
    """The folder, and the names in it, as the page's form sends them. A folder's name ends in a slash; none is the whole."""
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


def _refusal(request: HttpRequest, context: dict[str, str], *, status: int) -> HttpResponse:
    answer = render(request, "files/no_zip.html", context, status=status)
    if status == 503:
        answer["Retry-After"] = str(RETRY_SECONDS)
    return answer

"""Links to a job for other members of its group: everybody else is told that there is no such job."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from control_plane.access.groups.errors import NoCredentials
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.audit.refusals import NotYours
from control_plane.base.config import config
from control_plane.research.jobs.finding import find_job
from control_plane.research.jobs.models import Job
from control_plane.research.storage.folder_views import requested_folder, with_folder
from control_plane.research.storage.group_folder import GroupFolder

SALT = "cohort.job-link"
LINK_LIFETIME = timedelta(days=30)
MAX_PATH_CHARACTERS = 1024


@require_POST
@with_folder
def share(request: HttpRequest, folder: GroupFolder, timestamp: int) -> HttpResponse:
    """Create a link to the job, or to a folder of its results, and show it."""
    job = find_job(folder, timestamp)
    path = _folder(request.POST.get("path", ""))
    signed = signing.dumps({"job": job.pk, "path": path}, salt=SALT, compress=True)
    with transaction.atomic():
        record(Actor.of_request(request), "job.share", f"{job.name} of {folder.group.slug}", path=path)
    link = f"{config().site_url.rstrip('/')}{reverse('jobs:shared', args=(signed,))}"
    context = {"place": folder, "job": job, "link": link, "days": LINK_LIFETIME.days}
    return render(request, "jobs/_link.html" if request.headers.get("HX-Request") else "jobs/link.html", context)


@require_GET
@login_required
@never_cache
def shared(request: HttpRequest, signed: str) -> HttpResponse:
    """Redirect a member to the shared job or folder."""
    try:
        given: dict[str, Any] = signing.loads(signed, salt=SALT, max_age=LINK_LIFETIME)
    except signing.BadSignature as error:
        is_old = isinstance(error, signing.SignatureExpired)
        return render(request, "jobs/no_link.html", {"is_old": is_old, "days": LINK_LIFETIME.days}, status=410 if is_old else 404)
    job = Job.objects.select_related("group", "analysis").filter(pk=given["job"]).first()
    if job is None:
        raise NotYours("There is no such job.")
    try:
        requested_folder(request, job.group.slug, job.analysis.slug)
    except NoCredentials:
        return render(request, "storage/waiting.html", {"group": job.group.slug, "analysis": job.analysis.slug})
    query = f"?{urlencode({'path': given['path']})}" if given["path"] else ""
    return redirect(f"{job.get_absolute_url()}{query}")


def _folder(path: str) -> str:
    """Return the path if it is a folder below the job's own; else an empty one."""
    if len(path) > MAX_PATH_CHARACTERS or {".", ".."} & set(path.split("/")) or "\0" in path:
        return ""
    return path

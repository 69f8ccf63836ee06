"""Pages of a group's jobs of an analysis: the list, and one job with its status, logs and results."""

import json
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from control_plane.base.config import config
from control_plane.base.errors import Refused
from control_plane.base.request_input import read_number
from control_plane.research.jobs.finding import find_job
from control_plane.research.jobs.models import Job
from control_plane.research.jobs.protocol import DataSet, Status, file_name, log_key
from control_plane.research.jobs.status import JobStatus, read_log, read_status, save_status
from control_plane.research.jobs.submitting import new_token
from control_plane.research.storage.folder_views import with_folder
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.sessions import Purpose, s3_client
from web.jobs.results import results_of

JOBS_PER_PAGE = 25
SETS_PER_PAGE = 100
# Data sets that need attention come first.
ORDER = {Status.FAILED: 0, Status.IN_PROGRESS: 1, Status.INITIALIZING: 2, None: 3, Status.SUCCESS: 4}
CHANGED = "cohort:job-changed"


@dataclass(frozen=True, slots=True)
class DataSetRow:
    """Data set as the page shows it. `index` is its place in the job's inputs."""

    index: int
    key: str
    name: str
    said: DataSet | None
    has_log: bool


@require_GET
@with_folder
def index(request: HttpRequest, folder: GroupFolder) -> HttpResponse:
    """Show the group's jobs, newest first, as they were last seen."""
    jobs = Job.objects.filter(group=folder.group, analysis=folder.analysis).select_related("submitted_by")
    state = request.GET.get("state", "")
    if state in Job.State.values:
        jobs = jobs.filter(state=state)
    page = Paginator(jobs, JOBS_PER_PAGE).get_page(request.GET.get("page"))
    for job in page.object_list:
        job.group, job.analysis = folder.group, folder.analysis
    context = {
        "place": folder,
        "page": page,
        "state": state,
        "states": Job.State.choices,
        "is_moving": any(job.is_open for job in page.object_list),
    }
    return render(request, "jobs/_jobs.html" if request.headers.get("HX-Request") else "jobs/index.html", context)


@require_GET
@with_folder
def job(request: HttpRequest, folder: GroupFolder, timestamp: int) -> HttpResponse:
    """Show the job's present status, read with three requests to S3. While it is open the page polls by itself."""
    job = find_job(folder, timestamp)
    context: dict[str, Any] = {"place": folder, "job": job, "silent_hours": f"{config().job_silent_hours:g}"}
    try:
        status = read_status(job, s3_client(folder, Purpose.BROWSE))
        save_status(job, status)
        context |= _status_context(request, job, status)
    except Refused as error:
        context["refusal"] = str(error)
    context["mark"] = f"{job.state}-{job.done_count}-{job.failed_count}"
    context["ended_count"] = job.done_count + job.failed_count
    context["token"] = new_token()
    if request.headers.get("HX-Request"):
        answer = render(request, "jobs/_status.html", context)
        if request.GET.get("mark") != context["mark"]:
            answer["HX-Trigger"] = CHANGED
        return answer
    context["basket"] = json.dumps(job.inputs)
    context |= results_of(request, folder, job)
    # People come for the log of a failed data set.
    first = context["sets"][0].index if "sets" in context else 0
    context |= _chosen_log(request, job, first)
    return render(request, "jobs/job.html", context)


@require_GET
@with_folder
def log(request: HttpRequest, folder: GroupFolder, timestamp: int) -> HttpResponse:
    """Return a piece of a data set's log, from an offset on; -1 is the end of it. One request to S3."""
    job = find_job(folder, timestamp)
    key = _input(job, request.GET.get("set", ""))
    wanted = request.GET.get("offset", "0")
    offset = -1 if wanted == "-1" else read_number(wanted)
    if offset is None:
        raise Http404("There is no such place in the log.")
    try:
        part = read_log(job, key, offset, s3_client(folder, Purpose.BROWSE))
    except Refused as error:
        return JsonResponse({"error": str(error)}, status=503)
    return JsonResponse(
        {
            "text": part.text,
            "offset": part.offset,
            "size": part.size,
            "is_there": part.is_there,
            "was_replaced": part.was_replaced,
            "is_open": job.is_open,
        }
    )


def _status_context(request: HttpRequest, job: Job, status: JobStatus) -> dict[str, Any]:
    rows = [
        DataSetRow(number, key, key.partition("/")[2].removeprefix("inputs/"), said, log_key(job, key) in status.logs)
        for number, (key, said) in enumerate(status.datasets.items())
    ]
    rows.sort(key=lambda row: (ORDER[row.said.status if row.said else None], row.index))
    return {
        "seen": status,
        "sets": Paginator(rows, SETS_PER_PAGE).get_page(request.GET.get("sets")),
        "unmentioned": status.unmentioned,
        "unreadable": status.certificate.unreadable[:10],
        "unreadable_count": len(status.certificate.unreadable),
        "can_go_again": status.count(Status.FAILED) > 0,
    }


def _chosen_log(request: HttpRequest, job: Job, first: int) -> dict[str, Any]:
    number = read_number(request.GET.get("log", ""))
    if number is None or number >= len(job.inputs):
        number = first
    key = job.inputs[number]
    return {"log_set": number, "log_name": key.partition("/")[2].removeprefix("inputs/"), "log_file": file_name(log_key(job, key))}


def _input(job: Job, wanted: str) -> str:
    number = read_number(wanted)
    if number is None or number >= len(job.inputs):
        raise Http404("The job has no such data set.")
    return str(job.inputs[number])

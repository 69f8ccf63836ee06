"""Results of a job on its page: the file browser, bound to the job's own folder. Sends no request to S3."""

from typing import Any

from django.http import HttpRequest

from control_plane.research.files.browser import browser_settings
from control_plane.research.jobs.models import Job
from control_plane.research.storage.group_folder import GroupFolder

WAITING = "Nothing is there yet. What the back end writes shows here as it comes."
NONE = "The back end wrote no results. The logs of the data sets, above, say what it did."


def results_of(request: HttpRequest, folder: GroupFolder, job: Job) -> dict[str, Any]:
    """Return the context of `files/_browser.html` on the page of a job. Deleting is left to the files page."""
    return {
        "browser": browser_settings(request, folder, root=job.prefix.removeprefix(folder.prefix), name=job.name, is_writable=False),
        "files_title": "Results and logs",
        "files_empty": WAITING if job.is_open else NONE,
    }

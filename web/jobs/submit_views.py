"""Submission of a job: choose data sets and a configuration, review the summary, submit."""

import json
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.research.catalogue.checking import check_stored_configuration
from control_plane.research.catalogue.documents import ConfigurationProblem
from control_plane.research.catalogue.entries import entry_of
from control_plane.research.configurations import services as configurations
from control_plane.research.jobs.dataset_selection import is_covered, list_folder, selected_keys
from control_plane.research.jobs.finding import find_job
from control_plane.research.jobs.protocol import shared_names
from control_plane.research.jobs.status import read_status
from control_plane.research.jobs.submitting import (
    MAX_INPUTS,
    NotSubmittable,
    NotWritten,
    Vanished,
    expand_folders,
    failed_inputs,
    job_of_token,
    new_token,
    submit,
)
from control_plane.research.storage.folder_views import with_folder
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.sessions import Purpose, s3_client

MAX_SHOWN = 20


@require_http_methods(["GET", "POST"])
@with_folder
def new(request: HttpRequest, folder: GroupFolder) -> HttpResponse:
    """Choose data sets; each step sends the form, which carries the selection so far. `review` leads to the summary."""
    _require_writable(folder)
    given = request.POST if request.method == "POST" else request.GET
    basket = selected_keys(folder, given)
    if request.method == "POST" and "review" in given:
        return _review(request, folder, basket, given.get("config", ""))
    return _choose(request, folder, basket, given.get("config", ""))


@require_POST
@with_folder
def send(request: HttpRequest, folder: GroupFolder) -> HttpResponse:
    """Submit what the summary showed. The same form sent twice is one job."""
    _require_writable(folder)
    basket = selected_keys(folder, request.POST)
    config, token = request.POST.get("config", ""), _token(request)
    if known := job_of_token(folder, token):
        # Before S3 is asked anything: a refusal here would read as if there were no job.
        return redirect(known)
    folders = tuple(key for key in basket if key.endswith("/"))
    try:
        inputs = expand_folders(folder, basket)
        job = submit(
            folder=folder,
            inputs=inputs,
            listed={key for key in inputs if folders and key.startswith(folders)},
            config_key=configurations.configuration_key(folder, config),
            token=token,
            actor=Actor.of_request(request),
        )
    except NotWritten as error:
        # Another form, with a token of its own, would be another job.
        messages.warning(request, str(error))
        return redirect(error.job)
    except Refused as error:
        gone = error.keys if isinstance(error, Vanished) else ()
        # No job was made, so the form may become one still: pressed twice, it is one.
        return _review(request, folder, basket, config, str(error), gone=gone, token=token, status=409)
    return redirect(job)


@require_POST
@with_folder
def again(request: HttpRequest, folder: GroupFolder, timestamp: int) -> HttpResponse:
    """Resubmit a job's failed data sets, with the configuration it had."""
    before = find_job(folder, timestamp)
    try:
        inputs = failed_inputs(before, read_status(before, s3_client(folder, Purpose.BROWSE)).certificate)
        if not inputs:
            raise NotSubmittable("None of its data sets failed. Nothing was submitted.")
        job = submit(
            folder=folder,
            inputs=inputs,
            config_key=before.config_key,
            token=_token(request),
            actor=Actor.of_request(request),
            resubmits=before,
        )
    except NotWritten as error:
        messages.warning(request, str(error))
        return redirect(error.job)
    except Refused as error:
        messages.error(request, str(error))
        return redirect(before)
    return redirect(job)


def _choose(request: HttpRequest, folder: GroupFolder, basket: list[str], config: str, refusal: str = "") -> HttpResponse:
    given = request.POST if request.method == "POST" else request.GET
    path = given.get("go", given.get("path", ""))
    search = given.get("search", "") if "go" not in given else ""
    context: dict[str, Any] = {"refusal": refusal}
    try:
        folder_page = list_folder(folder, path, search, given.get("more", ""))
        listed = configurations.list_configurations(folder)
    except Refused as error:
        return render(request, "jobs/unreachable.html", {"place": folder, "reason": str(error)}, status=503)
    held = set(basket)
    context |= {
        "folder": folder_page,
        "items": [(item, item.key in held, is_covered(item.key, held)) for item in folder_page.items],
        "configurations": listed,
        "config": config or (listed[0].name if len(listed) == 1 else ""),
    }
    return render(request, "jobs/new.html", context | _basket(folder, basket))


def _review(
    request: HttpRequest,
    folder: GroupFolder,
    basket: list[str],
    config: str,
    refusal: str = "",
    *,
    gone: Sequence[str] = (),
    token: str = "",
    status: int = 200,
) -> HttpResponse:
    """Show the summary, without missing objects; go back to choosing if a choice is missing."""
    basket = [key for key in basket if key not in gone]
    lacks = _missing_choice(basket, config)
    if lacks and not refusal:
        return _choose(request, folder, basket, config, lacks)
    entry = entry_of(folder.analysis)
    problems: list[ConfigurationProblem] = []
    try:
        problems = check_stored_configuration(configurations.read_configuration(folder, config).text, entry.template, entry.schema)
    except configurations.NotEditable as error:
        # It is the back end's to read, which is given its key.
        problems = [
            ConfigurationProblem(f"{error.reason} So it was not checked. The back end is given it as it is.", is_warning=True)
        ]
    except Refused as error:
        # What cannot be read is not submitted either.
        lacks = str(error)
        refusal = refusal or lacks
    context = {
        "entry": entry,
        "problems": problems,
        "is_refused": any(not problem.is_warning for problem in problems),
        "config": config,
        "refusal": refusal,
        "lacks": lacks,
        "is_less": bool(gone),
        "token": token or new_token(),
        "folders": [key for key in basket if key.endswith("/")],
        "shared_names": shared_names([key for key in basket if not key.endswith("/")])[:MAX_SHOWN],
    }
    return render(request, "jobs/review.html", context | _basket(folder, basket), status=status)


def _require_writable(folder: GroupFolder) -> None:
    if not folder.is_writable:
        raise PermissionDenied(f"{folder.group.name} may only read in {folder.analysis.name}, so it submits nothing.")


def _missing_choice(basket: list[str], config: str) -> str:
    if not basket:
        return "Choose at least one data set."
    if len(basket) > MAX_INPUTS:
        return f"More than {MAX_INPUTS:,} data sets are too many for one job. Choose fewer."
    return "" if config else "Choose a configuration."


def _basket(folder: GroupFolder, basket: list[str]) -> dict[str, Any]:
    names = [(key, key.removeprefix(f"{folder.prefix}inputs/")) for key in basket]
    return {
        "place": folder,
        "basket": json.dumps(basket),
        "count": len(basket),
        "first": names[:MAX_SHOWN],
        "more": max(0, len(basket) - MAX_SHOWN),
    }


def _token(request: HttpRequest) -> str:
    # Without one, which no form of ours lacks, it is a job of its own.
    return request.POST.get("token", "")[:64] or new_token()

"""Submitting a job: choose data sets and a configuration, look at the summary, submit."""

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
from control_plane.research.catalogue.checking import check_stored
from control_plane.research.catalogue.documents import Problem
from control_plane.research.catalogue.entries import entry_of
from control_plane.research.configurations import services as configurations
from control_plane.research.jobs.dataset_selection import chosen, covered, look_into
from control_plane.research.jobs.finding import find_job
from control_plane.research.jobs.protocol import shared_names
from control_plane.research.jobs.status import look
from control_plane.research.jobs.submitting import (
    MAX_INPUTS,
    NotSubmittable,
    NotWritten,
    Vanished,
    expand,
    failed_inputs,
    job_of,
    new_token,
    submit,
)
from control_plane.research.storage.folder_views import in_place
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.sessions import Purpose, s3_client

FIRST_SHOWN = 20


@require_http_methods(["GET", "POST"])
@in_place
def new(request: HttpRequest, place: GroupFolder) -> HttpResponse:
    """Choose; each step sends the form, which carries the choice so far. `review` leads to the summary."""
    _require_writable(place)
    given = request.POST if request.method == "POST" else request.GET
    basket = chosen(place, given)
    if request.method == "POST" and "review" in given:
        return _review(request, place, basket, given.get("config", ""))
    return _choose(request, place, basket, given.get("config", ""))


@require_POST
@in_place
def send(request: HttpRequest, place: GroupFolder) -> HttpResponse:
    """Submit what the summary showed. The same form twice is one job."""
    _require_writable(place)
    basket = chosen(place, request.POST)
    config, token = request.POST.get("config", ""), _token(request)
    if known := job_of(place, token):
        # Before S3 is asked anything: a refusal here would read as if there were no job.
        return redirect(known)
    folders = tuple(key for key in basket if key.endswith("/"))
    try:
        inputs = expand(place, basket)
        job = submit(
            place=place,
            inputs=inputs,
            listed={key for key in inputs if folders and key.startswith(folders)},
            config_key=configurations.key_of(place, config),
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
        return _review(request, place, basket, config, str(error), gone=gone, token=token, status=409)
    return redirect(job)


@require_POST
@in_place
def again(request: HttpRequest, place: GroupFolder, timestamp: int) -> HttpResponse:
    """Submit a job's failed data sets again, with the configuration it had."""
    before = find_job(place, timestamp)
    try:
        inputs = failed_inputs(before, look(before, s3_client(place, Purpose.BROWSE)).certificate)
        if not inputs:
            raise NotSubmittable("None of its data sets failed. Nothing was submitted.")
        job = submit(
            place=place,
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


def _choose(request: HttpRequest, place: GroupFolder, basket: list[str], config: str, refusal: str = "") -> HttpResponse:
    given = request.POST if request.method == "POST" else request.GET
    path = given.get("go", given.get("path", ""))
    search = given.get("search", "") if "go" not in given else ""
    context: dict[str, Any] = {"refusal": refusal}
    try:
        folder = look_into(place, path, search, given.get("more", ""))
        found = configurations.list_configurations(place)
    except Refused as error:
        return render(request, "jobs/unreachable.html", {"place": place, "reason": str(error)}, status=503)
    held = set(basket)
    context |= {
        "folder": folder,
        "items": [(item, item.key in held, covered(item.key, held)) for item in folder.items],
        "configurations": found,
        "config": config or (found[0].name if len(found) == 1 else ""),
    }
    return render(request, "jobs/new.html", context | _basket(place, basket))


def _review(
    request: HttpRequest,
    place: GroupFolder,
    basket: list[str],
    config: str,
    refusal: str = "",
    *,
    gone: Sequence[str] = (),
    token: str = "",
    status: int = 200,
) -> HttpResponse:
    """The summary, without what is gone; back to choosing where something lacks."""
    basket = [key for key in basket if key not in gone]
    lacks = _lacks(basket, config)
    if lacks and not refusal:
        return _choose(request, place, basket, config, lacks)
    entry = entry_of(place.analysis)
    problems: list[Problem] = []
    try:
        problems = check_stored(configurations.read(place, config).text, entry.template, entry.schema)
    except configurations.NotEditable as error:
        # It is the back end's to read, which is given its key.
        problems = [Problem(f"{error.reason} So it was not checked. The back end is given it as it is.", is_warning=True)]
    except Refused as error:
        # What cannot be read is not submitted either.
        lacks = str(error)
        refusal = refusal or lacks
    context = {
        "entry": entry,
        "problems": problems,
        "is_refused": any(not one.is_warning for one in problems),
        "config": config,
        "refusal": refusal,
        "lacks": lacks,
        "is_less": bool(gone),
        "token": token or new_token(),
        "folders": [key for key in basket if key.endswith("/")],
        "shared_names": shared_names([key for key in basket if not key.endswith("/")])[:FIRST_SHOWN],
    }
    return render(request, "jobs/review.html", context | _basket(place, basket), status=status)


def _require_writable(place: GroupFolder) -> None:
    if not place.is_writable:
        raise PermissionDenied(f"{place.group.name} may only read in {place.analysis.name}, so it submits nothing.")


def _lacks(basket: list[str], config: str) -> str:
    if not basket:
        return "Choose at least one data set."
    if len(basket) > MAX_INPUTS:
        return f"More than {MAX_INPUTS:,} data sets are too many for one job. Choose fewer."
    return "" if config else "Choose a configuration."


def _basket(place: GroupFolder, basket: list[str]) -> dict[str, Any]:
    names = [(key, key.removeprefix(f"{place.prefix}inputs/")) for key in basket]
    return {
        "place": place,
        "basket": json.dumps(basket),
        "count": len(basket),
        "first": names[:FIRST_SHOWN],
        "more": max(0, len(basket) - FIRST_SHOWN),
    }


def _token(request: HttpRequest) -> str:
    # Without one, which no form of ours lacks, it is a job of its own.
    return request.POST.get("token", "")[:64] or new_token()

"""The pages of a group's configurations for an analysis: all of them, and one, as a form or as YAML."""

import difflib
import re
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.access.groups.errors import NotGranted
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import NotFound, Refused
from control_plane.base.view_refusals import show_refusal_on
from control_plane.base.visible import visible
from control_plane.research.catalogue.checking import check
from control_plane.research.catalogue.documents import Problem, Rewriting, Unreadable
from control_plane.research.catalogue.entries import entry_of
from control_plane.research.catalogue.models import Entry
from control_plane.research.configurations import form, services
from control_plane.research.configurations.services import Changed, NotEditable
from control_plane.research.storage.folder_views import in_place
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.objects import delete

MAX_DIFF_LINES = 400
# Of a line, and of the lines between the first and the last difference: comparing takes the square of them.
MAX_DIFF_LETTERS = 500
MAX_COMPARED_LINES = 1_000
MAX_REWRITINGS_TOLD = 5
_HUNK = re.compile(r"(?<=[-+])\d+(?=[, ])")


@dataclass
class Draft:
    """What is being written, and how it is shown."""

    text: str
    etag: str = ""
    name: str = ""
    is_text_mode: bool = False
    problems: list[Problem] = field(default_factory=list)
    refusal: str = ""
    theirs: str | None = None
    their_etag: str = ""


@require_GET
@in_place
def index(request: HttpRequest, place: GroupFolder) -> HttpResponse:
    """All of them."""
    context: dict[str, Any] = {"place": place, "entry": entry_of(place.analysis)}
    try:
        context["configurations"] = services.list_configurations(place)
    except Refused as error:
        context["refusal"] = str(error)
    return render(request, "configurations/index.html", context, status=503 if "refusal" in context else 200)


@require_http_methods(["GET", "POST"])
@in_place
def new(request: HttpRequest, place: GroupFolder) -> HttpResponse:
    """A new one: from the template, or, with `?from=<name>`, from another."""
    entry = entry_of(place.analysis)
    if request.method == "POST":
        return _post(request, place, entry, "")
    source = request.GET.get("from", "")
    text = form.begin(entry.template)
    if source:
        try:
            text = services.read(place, source).text
        except Refused as error:
            messages.error(request, f"{error} The new one starts from the template.")
            source = ""
    draft = Draft(text, name=_copied(source), is_text_mode=_wants_text(request.GET.get("mode", ""), text))
    return _show(request, place, entry, draft, "")


@require_http_methods(["GET", "POST"])
@in_place
def edit(request: HttpRequest, place: GroupFolder, name: str) -> HttpResponse:
    """One of them, with what it was before."""
    entry = entry_of(place.analysis)
    if request.method == "POST":
        return _post(request, place, entry, name)
    try:
        there = services.read(place, name)
    except NotFound:
        return _gone(request, place, name)
    except NotEditable as error:
        context = {"place": place, "name": name, "reason": str(error), "shown": error.shown}
        return render(request, "configurations/unreadable.html", context | _history(request, place, name, error.shown))
    except Refused as error:
        return render(request, "configurations/unreadable.html", {"place": place, "name": name, "reason": str(error)}, status=409)
    draft = Draft(there.text, there.etag, name, is_text_mode=_wants_text(request.GET.get("mode", ""), there.text))
    return _show(request, place, entry, draft, name)


@require_POST
@in_place
@show_refusal_on("configurations:edit", "slug", "analysis", "name")
def restore(request: HttpRequest, place: GroupFolder, name: str) -> HttpResponse:
    """Save an old version as the newest."""
    old = services.bring_back(place, name, request.POST.get("version", ""), Actor.of_request(request))
    messages.success(request, f"{visible(name)} is again as it was on {old.modified:%-d %B %Y at %H:%M} UTC.")
    return redirect("configurations:edit", place.group.slug, place.analysis.slug, name)


@require_POST
@in_place
@show_refusal_on("configurations:edit", "slug", "analysis", "name")
def remove(request: HttpRequest, place: GroupFolder, name: str) -> HttpResponse:
    """Delete it; its versions stay, and the page that follows can bring one back."""
    (outcome,) = delete(place, [services.key_of(place, name)], Actor.of_request(request))
    if outcome.error:
        messages.error(request, outcome.error)
    return redirect("configurations:edit", place.group.slug, place.analysis.slug, name)


def _post(request: HttpRequest, place: GroupFolder, entry: Entry, name: str) -> HttpResponse:
    """Save, check, or change between form and text. What was typed is never lost."""
    given, action = request.POST, request.POST.get("action", "save")
    draft = Draft(
        given.get("text", "").replace("\r\n", "\n"),
        given.get("etag", ""),
        name or " ".join(given.get("name", "").split()),
        is_text_mode=given.get("mode") == "text",
    )
    if not draft.is_text_mode:
        try:
            draft.text = form.apply(draft.text, entry.template, entry.schema, given)
        except Unreadable as refused:
            draft.text = refused.text if isinstance(refused, form.NotTaken) else draft.text
            draft.problems, draft.is_text_mode = [refused.problem], True
            return _show(request, place, entry, draft, name, status=422)
    if action == "copy" and not name:
        # Somebody else saved meanwhile: mine becomes a new one, as it was typed.
        draft.name, draft.etag = _copied(given.get("from", "")), ""
        return _show(request, place, entry, draft, name)
    draft.problems = check(draft.text, entry.template, entry.schema)
    if action in ("form", "text"):
        draft.is_text_mode = action == "text" or _wants_text("", draft.text)
        return _show(request, place, entry, draft, name)
    if action == "check" or any(not one.is_warning for one in draft.problems):
        if action == "check" and not draft.problems:
            messages.success(request, "Nothing is wrong with it. It is not saved yet.")
        return _show(request, place, entry, draft, name, status=200 if action == "check" else 422)
    return _save(request, place, entry, draft, name)


def _save(request: HttpRequest, place: GroupFolder, entry: Entry, draft: Draft, name: str) -> HttpResponse:
    try:
        draft.name = name or services.proper_name(draft.name)
        rewritings = services.save(place, draft.name, draft.text, draft.etag, Actor.of_request(request))
    except Changed as error:
        draft.refusal = str(error)
        draft.theirs, draft.their_etag = (error.there.text, error.there.etag) if error.there else (None, "")
        return _show(request, place, entry, draft, name, status=409)
    except NotGranted as error:
        draft.refusal = str(error)
        return _show(request, place, entry, draft, name, status=403)
    except Refused as error:
        draft.refusal = str(error)
        return _show(request, place, entry, draft, name, status=422)
    messages.success(request, f"{draft.name} is saved.{_told(rewritings)}")
    return redirect("configurations:edit", place.group.slug, place.analysis.slug, draft.name)


def _told(rewritings: list[Rewriting]) -> str:
    """What was written otherwise than it was typed."""
    if not rewritings:
        return ""
    told = [f"{one.was[:40]} as {one.written[:40]} (line {one.line})" for one in rewritings[:MAX_REWRITINGS_TOLD]]
    more = f", and {len(rewritings) - len(told)} more" if len(rewritings) > len(told) else ""
    return f" Programs that read YAML 1.1 take these for something else, so it has {', '.join(told)}{more}."


def _show(request: HttpRequest, place: GroupFolder, entry: Entry, draft: Draft, name: str, *, status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {"place": place, "entry": entry, "draft": draft, "name": name, "is_check": status == 200}
    context["wrong_fields"] = {problem.field.partition("[")[0] for problem in draft.problems if problem.field}
    if not draft.is_text_mode:
        try:
            context["sections"] = form.sections(draft.text, entry.template, entry.schema)
        except Unreadable as refused:
            # What was typed into a form may make a text that no form can show.
            draft.is_text_mode, draft.problems = True, draft.problems or [refused.problem]
    if draft.theirs is not None:
        context["difference"] = _difference(draft.theirs, draft.text, "what is there now", "yours")
    if name and request.method == "GET":
        context |= _history(request, place, name, draft.text)
    return render(request, "configurations/edit.html", context, status=status)


def _gone(request: HttpRequest, place: GroupFolder, name: str) -> HttpResponse:
    """One that is deleted, or was never there."""
    try:
        known = services.versions(place, name)
    except Refused as error:
        return render(request, "configurations/unreadable.html", {"place": place, "name": name, "reason": str(error)}, status=503)
    context = {"place": place, "name": name, "versions": known}
    return render(request, "configurations/gone.html", context, status=200 if known else 404)


def _history(request: HttpRequest, place: GroupFolder, name: str, present: str) -> dict[str, Any]:
    """Its versions, and the one that is asked for beside the present one."""
    try:
        context: dict[str, Any] = {"versions": services.versions(place, name)}
        if wanted := request.GET.get("version", ""):
            old = services.read(place, name, wanted)
            context |= {"old": old, "difference": _difference(old.text, present, f"{old.modified:%-d %B %Y %H:%M} UTC", "now")}
    except Refused as error:
        return {"history_refusal": str(error)}
    return context


def _difference(before: str, after: str, was: str, now: str) -> list[tuple[str, str]]:
    """Lines of a unified diff with what each is: added, removed, or neither."""
    old, new = before.split("\n"), after.split("\n")
    same = next((index for index, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new)))
    old, new = old[max(same - 2, 0) :], new[max(same - 2, 0) :]
    pairs = zip(reversed(old), reversed(new), strict=False)
    end = next((index for index, (one, other) in enumerate(pairs) if one != other), 0)
    old, new = old[: len(old) - max(end - 2, 0)], new[: len(new) - max(end - 2, 0)]
    if max(len(old), len(new)) > MAX_COMPARED_LINES:
        return [("place", f"They differ from line {same + 1} on, in more lines than are compared here. Download both to compare.")]
    lines = list(difflib.unified_diff(old, new, was, now, lineterm="", n=2))[2 : MAX_DIFF_LINES + 2]
    kinds = {"+": "added", "-": "removed", "@": "place"}
    return [(kinds.get(line[:1], "same"), _numbered(line, max(same - 2, 0))) for line in lines]


def _numbered(line: str, skipped: int) -> str:
    """A line of a diff as it stands in the whole texts."""
    if line.startswith("@@"):
        return _HUNK.sub(lambda number: str(int(number[0]) + skipped), line)
    return line if len(line) <= MAX_DIFF_LETTERS else f"{line[: MAX_DIFF_LETTERS - 1]}…"


def _wants_text(mode: str, text: str) -> bool:
    """Whether to show YAML: where that was asked for, or where no form can be made."""
    return mode == "text" or not form.is_possible(text)


def _copied(name: str) -> str:
    ending = " copy"
    return name[: services.LONGEST_NAME - len(ending)] + ending if name else ""


def address(place: GroupFolder, name: str) -> str:
    """The page of one."""
    return reverse("configurations:edit", args=(place.group.slug, place.analysis.slug, name))

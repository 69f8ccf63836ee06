"""Pages of a group's configurations for an analysis: the list, and one configuration as a form or as YAML."""

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
from control_plane.research.catalogue.checking import check_configuration
from control_plane.research.catalogue.documents import ConfigurationProblem, Rewriting, Unreadable
from control_plane.research.catalogue.entries import entry_of
from control_plane.research.catalogue.models import Entry
from control_plane.research.configurations import form, services
from control_plane.research.configurations.services import ChangedMeanwhile, NotEditable
from control_plane.research.storage.folder_views import with_folder
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.objects import delete_objects

MAX_DIFF_LINES = 400
# Characters of a line, and lines between the first and the last difference: comparing takes quadratic time.
MAX_DIFF_CHARACTERS = 500
MAX_COMPARED_LINES = 1_000
MAX_REWRITINGS_TOLD = 5
_HUNK = re.compile(r"(?<=[-+])\d+(?=[, ])")


@dataclass
class Draft:
    """Configuration being written, and how it is shown."""

    text: str
    etag: str = ""
    name: str = ""
    is_text_mode: bool = False
    problems: list[ConfigurationProblem] = field(default_factory=list)
    refusal: str = ""
    theirs: str | None = None
    their_etag: str = ""


@require_GET
@with_folder
def index(request: HttpRequest, folder: GroupFolder) -> HttpResponse:
    """Show all configurations."""
    context: dict[str, Any] = {"place": folder, "entry": entry_of(folder.analysis)}
    try:
        context["configurations"] = services.list_configurations(folder)
    except Refused as error:
        context["refusal"] = str(error)
    return render(request, "configurations/index.html", context, status=503 if "refusal" in context else 200)


@require_http_methods(["GET", "POST"])
@with_folder
def new(request: HttpRequest, folder: GroupFolder) -> HttpResponse:
    """Create a configuration from the template, or, with `?from=<name>`, from another one."""
    entry = entry_of(folder.analysis)
    if request.method == "POST":
        return _post(request, folder, entry, "")
    source = request.GET.get("from", "")
    text = form.initial_text(entry.template)
    if source:
        try:
            text = services.read_configuration(folder, source).text
        except Refused as error:
            messages.error(request, f"{error} The new one starts from the template.")
            source = ""
    draft = Draft(text, name=_copied(source), is_text_mode=_wants_text(request.GET.get("mode", ""), text))
    return _show(request, folder, entry, draft, "")


@require_http_methods(["GET", "POST"])
@with_folder
def edit(request: HttpRequest, folder: GroupFolder, name: str) -> HttpResponse:
    """Edit a configuration; also shows its versions."""
    entry = entry_of(folder.analysis)
    if request.method == "POST":
        return _post(request, folder, entry, name)
    try:
        current = services.read_configuration(folder, name)
    except NotFound:
        return _gone(request, folder, name)
    except NotEditable as error:
        context = {"place": folder, "name": name, "reason": str(error), "shown": error.shown}
        return render(request, "configurations/unreadable.html", context | _history(request, folder, name, error.shown))
    except Refused as error:
        return render(request, "configurations/unreadable.html", {"place": folder, "name": name, "reason": str(error)}, status=409)
    draft = Draft(current.text, current.etag, name, is_text_mode=_wants_text(request.GET.get("mode", ""), current.text))
    return _show(request, folder, entry, draft, name)


@require_POST
@with_folder
@show_refusal_on("configurations:edit", "slug", "analysis", "name")
def restore(request: HttpRequest, folder: GroupFolder, name: str) -> HttpResponse:
    """Save an old version as the newest."""
    old = services.restore_version(folder, name, request.POST.get("version", ""), Actor.of_request(request))
    messages.success(request, f"{visible(name)} is again as it was on {old.modified:%-d %B %Y at %H:%M} UTC.")
    return redirect("configurations:edit", folder.group.slug, folder.analysis.slug, name)


@require_POST
@with_folder
@show_refusal_on("configurations:edit", "slug", "analysis", "name")
def remove(request: HttpRequest, folder: GroupFolder, name: str) -> HttpResponse:
    """Delete a configuration; its versions stay, and the page that follows can restore one."""
    (outcome,) = delete_objects(folder, [services.configuration_key(folder, name)], Actor.of_request(request))
    if outcome.error:
        messages.error(request, outcome.error)
    return redirect("configurations:edit", folder.group.slug, folder.analysis.slug, name)


def _post(request: HttpRequest, folder: GroupFolder, entry: Entry, name: str) -> HttpResponse:
    """Save, check, or switch between form and text. Typed input is never lost."""
    given, action = request.POST, request.POST.get("action", "save")
    draft = Draft(
        given.get("text", "").replace("\r\n", "\n"),
        given.get("etag", ""),
        name or " ".join(given.get("name", "").split()),
        is_text_mode=given.get("mode") == "text",
    )
    if not draft.is_text_mode:
        try:
            draft.text = form.apply_form(draft.text, entry.template, entry.schema, given)
        except Unreadable as refused:
            draft.text = refused.text if isinstance(refused, form.ValueTooLarge) else draft.text
            draft.problems, draft.is_text_mode = [refused.problem], True
            return _show(request, folder, entry, draft, name, status=422)
    if action == "copy" and not name:
        # Somebody else saved meanwhile: mine becomes a new one, as it was typed.
        draft.name, draft.etag = _copied(given.get("from", "")), ""
        return _show(request, folder, entry, draft, name)
    draft.problems = check_configuration(draft.text, entry.template, entry.schema)
    if action in ("form", "text"):
        draft.is_text_mode = action == "text" or _wants_text("", draft.text)
        return _show(request, folder, entry, draft, name)
    if action == "check" or any(not problem.is_warning for problem in draft.problems):
        if action == "check" and not draft.problems:
            messages.success(request, "Nothing is wrong with it. It is not saved yet.")
        return _show(request, folder, entry, draft, name, status=200 if action == "check" else 422)
    return _save(request, folder, entry, draft, name)


def _save(request: HttpRequest, folder: GroupFolder, entry: Entry, draft: Draft, name: str) -> HttpResponse:
    try:
        draft.name = name or services.clean_name(draft.name)
        rewritings = services.save_configuration(folder, draft.name, draft.text, draft.etag, Actor.of_request(request))
    except ChangedMeanwhile as error:
        draft.refusal = str(error)
        draft.theirs, draft.their_etag = (error.current.text, error.current.etag) if error.current else (None, "")
        return _show(request, folder, entry, draft, name, status=409)
    except NotGranted as error:
        draft.refusal = str(error)
        return _show(request, folder, entry, draft, name, status=403)
    except Refused as error:
        draft.refusal = str(error)
        return _show(request, folder, entry, draft, name, status=422)
    messages.success(request, f"{draft.name} is saved.{_rewritings_in_words(rewritings)}")
    return redirect("configurations:edit", folder.group.slug, folder.analysis.slug, draft.name)


def _rewritings_in_words(rewritings: list[Rewriting]) -> str:
    """Return a sentence about the values that were written differently than typed."""
    if not rewritings:
        return ""
    rewritten = [
        f"{rewriting.was[:40]} as {rewriting.written[:40]} (line {rewriting.line})"
        for rewriting in rewritings[:MAX_REWRITINGS_TOLD]
    ]
    more = f", and {len(rewritings) - len(rewritten)} more" if len(rewritings) > len(rewritten) else ""
    return f" Programs that read YAML 1.1 take these for something else, so it has {', '.join(rewritten)}{more}."


def _show(request: HttpRequest, folder: GroupFolder, entry: Entry, draft: Draft, name: str, *, status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {"place": folder, "entry": entry, "draft": draft, "name": name, "is_check": status == 200}
    context["wrong_fields"] = {problem.field.partition("[")[0] for problem in draft.problems if problem.field}
    if not draft.is_text_mode:
        try:
            context["sections"] = form.form_sections(draft.text, entry.template, entry.schema)
        except Unreadable as refused:
            # What was typed into a form may make a text that no form can show.
            draft.is_text_mode, draft.problems = True, draft.problems or [refused.problem]
    if draft.theirs is not None:
        context["difference"] = _difference(draft.theirs, draft.text, "what is there now", "yours")
    if name and request.method == "GET":
        context |= _history(request, folder, name, draft.text)
    return render(request, "configurations/edit.html", context, status=status)


def _gone(request: HttpRequest, folder: GroupFolder, name: str) -> HttpResponse:
    """Show a configuration that is deleted, or never existed."""
    try:
        known = services.list_versions(folder, name)
    except Refused as error:
        return render(request, "configurations/unreadable.html", {"place": folder, "name": name, "reason": str(error)}, status=503)
    context = {"place": folder, "name": name, "versions": known}
    return render(request, "configurations/gone.html", context, status=200 if known else 404)


def _history(request: HttpRequest, folder: GroupFolder, name: str, present: str) -> dict[str, Any]:
    """Return the versions, and the requested one compared with the present text."""
    try:
        context: dict[str, Any] = {"versions": services.list_versions(folder, name)}
        if wanted := request.GET.get("version", ""):
            old = services.read_configuration(folder, name, wanted)
            context |= {"old": old, "difference": _difference(old.text, present, f"{old.modified:%-d %B %Y %H:%M} UTC", "now")}
    except Refused as error:
        return {"history_refusal": str(error)}
    return context


def _difference(before: str, after: str, was: str, now: str) -> list[tuple[str, str]]:
    """Return the lines of a unified diff, each with its kind: added, removed, place or same."""
    old, new = before.split("\n"), after.split("\n")
    same = next(
        (index for index, (line, other_line) in enumerate(zip(old, new, strict=False)) if line != other_line),
        min(len(old), len(new)),
    )
    old, new = old[max(same - 2, 0) :], new[max(same - 2, 0) :]
    pairs = zip(reversed(old), reversed(new), strict=False)
    end = next((index for index, (line, other_line) in enumerate(pairs) if line != other_line), 0)
    old, new = old[: len(old) - max(end - 2, 0)], new[: len(new) - max(end - 2, 0)]
    if max(len(old), len(new)) > MAX_COMPARED_LINES:
        return [("place", f"They differ from line {same + 1} on, in more lines than are compared here. Download both to compare.")]
    lines = list(difflib.unified_diff(old, new, was, now, lineterm="", n=2))[2 : MAX_DIFF_LINES + 2]
    kinds = {"+": "added", "-": "removed", "@": "place"}
    return [(kinds.get(line[:1], "same"), _numbered(line, max(same - 2, 0))) for line in lines]


def _numbered(line: str, skipped: int) -> str:
    """Return a line of a diff with line numbers of the whole texts."""
    if line.startswith("@@"):
        return _HUNK.sub(lambda number: str(int(number[0]) + skipped), line)
    return line if len(line) <= MAX_DIFF_CHARACTERS else f"{line[: MAX_DIFF_CHARACTERS - 1]}…"


def _wants_text(mode: str, text: str) -> bool:
    """Tell whether to show YAML: if it was requested, or if no form can be made."""
    return mode == "text" or not form.has_form(text)


def _copied(name: str) -> str:
    ending = " copy"
    return name[: services.MAX_NAME_CHARACTERS - len(ending)] + ending if name else ""


def address(folder: GroupFolder, name: str) -> str:
    """Return the address of a configuration's page."""
    return reverse("configurations:edit", args=(folder.group.slug, folder.analysis.slug, name))

"""Import and export in the administration: upload a file, look at each row's fate, apply it, and watch what that started."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminFileFieldWidget

from control_plane.access.groups.services.groups import find_group
from control_plane.access.groups.services.members import find_user
from control_plane.access.rosters.models import Roster
from control_plane.access.rosters.services.encoding import MAX_BYTES
from control_plane.access.rosters.services.export import export
from control_plane.access.rosters.services.plan import FATES
from control_plane.access.rosters.services.read import COLUMNS, MAX_ROWS
from control_plane.access.rosters.uploads import ask_to_apply, check_again, upload_roster
from control_plane.accounts.permissions import is_administrator
from control_plane.administration.pages import RecordedModelAdmin
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment

ROWS_PER_PAGE = 50
MAX_PROBLEMS = 20
MAX_OUTCOMES = 200
# How each fate is shown: a badge's look, and a sign for whoever does not see its colour.
LOOKS = {
    "added": ("is-good", "+"),
    "changed": ("is-busy", "~"),
    "removed": ("is-bad", "−"),
    "same": ("", "="),
    "refused": ("is-bad", "✗"),
}


class UploadForm(forms.Form):
    """A file."""

    file = forms.FileField(label="CSV file", widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.tsv,.txt,text/csv"}))


@admin.register(Roster)
class RosterAdmin(RecordedModelAdmin):
    """The files that were uploaded lately."""

    list_display = ("file_name", "state", "rows", "asked_by", "created_at")
    list_display_links = None
    list_per_page = 50
    list_before_template = "admin/rosters/export.html"

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("rosters/rosters.css",)}

    def has_delete_permission(self, request: HttpRequest, obj: Roster | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Roster | None = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("text", "fates")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("export/", wrap(self.export_view), name="rosters_roster_export"),
            path("<int:pk>/fates/", wrap(self.fates_view), name="rosters_roster_fates"),
            path("<int:pk>/live/", wrap(self.live_view), name="rosters_roster_live"),
            path("<int:pk>/again/", wrap(self.again_view), name="rosters_roster_again"),
            path("<int:pk>/apply/", wrap(self.apply_view), name="rosters_roster_apply"),
            *super().get_urls(),
        ]

    @admin.display(description="Rows")
    def rows(self, roster: Roster) -> str:
        return ", ".join(f"{count} {fate}" for fate, count in roster.counts.items() if count) or "none"

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Ask for a file, and look at it. Nothing is changed yet."""
        _require_administrator(request)
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            file = form.cleaned_data["file"]
            try:
                # One byte more than is taken, so that a longer file is refused without being read whole.
                roster = upload_roster(file_name=file.name, content=file.read(MAX_BYTES + 1), actor=Actor.of_request(request))
            except Refused as error:
                form.add_error("file", str(error))
            else:
                return redirect(roster)
        context = self._context(request, title="Import people", form=form, columns=COLUMNS, most_rows=MAX_ROWS)
        return TemplateResponse(request, "admin/rosters/upload.html", context, status=422 if form.errors else 200)

    def fates_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Each row's fate, a page at a time; and, once it is applied, what that started."""
        _require_administrator(request)
        roster = get_object_or_404(Roster, pk=pk)
        wanted = request.GET.get("fate", "")
        fates = [fate for fate in roster.fates if wanted in ("", fate["fate"])]
        page = Paginator(fates, ROWS_PER_PAGE).get_page(request.GET.get("page"))
        context = self._context(
            request,
            title=roster.file_name,
            roster=roster,
            page=page,
            rows=[(fate, FATES[fate["fate"]], *LOOKS[fate["fate"]]) for fate in page],
            wanted=wanted,
            tallies=[(fate.value, label, roster.counts.get(fate.value, 0)) for fate, label in FATES.items()],
            problems=roster.problems[:MAX_PROBLEMS],
            has_refused=bool(roster.problems or roster.counts.get("refused")),
            changes=sum(roster.counts.get(fate, 0) for fate in ("added", "changed", "removed")),
            **_progress(roster),
        )
        return TemplateResponse(request, "admin/rosters/fates.html", context)

    def live_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How far it is; asked again and again while something is under way."""
        _require_administrator(request)
        roster = get_object_or_404(Roster.objects.defer("text", "fates"), pk=pk)
        return render(request, "admin/rosters/_progress.html", {"roster": roster, "is_live": True, **_progress(roster)})

    def again_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make the dry run anew."""
        return self._do(request, pk, lambda roster: check_again(roster, actor=Actor.of_request(request)))

    def apply_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Have a worker apply it."""
        digest, good_rows = request.POST.get("digest", ""), request.POST.get("good_rows") == "1"
        return self._do(
            request, pk, lambda roster: ask_to_apply(roster, digest=digest, good_rows=good_rows, actor=Actor.of_request(request))
        )

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Everybody, one group or one person, as a file that can be taken in again."""
        _require_administrator(request)
        try:
            group = find_group(called) if (called := request.GET.get("group", "").strip()) else None
            person = find_user(email) if (email := request.GET.get("person", "").strip()) else None
        except Refused as error:
            messages.error(request, f"{error} Nothing was exported.")
            return redirect("admin:rosters_roster_changelist")
        answer = StreamingHttpResponse(
            export(actor=Actor.of_request(request), group=group, person=person), content_type="text/csv; charset=utf-8"
        )
        answer["Content-Disposition"] = f'attachment; filename="people-{timezone.now():%Y-%m-%d}.csv"'
        answer["Cache-Control"] = "no-store"
        return answer

    def _do(self, request: HttpRequest, pk: int, perform: Any) -> HttpResponse:
        _require_administrator(request)
        if request.method != "POST":
            return redirect("admin:rosters_roster_fates", pk)
        roster = get_object_or_404(Roster, pk=pk)
        try:
            perform(roster)
        except Refused as error:
            messages.error(request, str(error))
        return redirect(reverse("admin:rosters_roster_fates", args=(pk,)))

    def _context(self, request: HttpRequest, **more: Any) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "opts": self.opts, **more}


def _progress(roster: Roster) -> dict[str, Any]:
    """What became of each group, with its deployment as it stands, in one query."""
    outcomes = roster.outcomes[:MAX_OUTCOMES]
    started = Deployment.objects.in_bulk([outcome["deployment"] for outcome in outcomes if outcome["deployment"]])
    rows = [(outcome, started.get(outcome["deployment"])) for outcome in outcomes]
    is_moving = roster.is_under_way or any(deployment is not None and deployment.is_open for _, deployment in rows)
    return {"outcomes": rows, "is_moving": is_moving, "more_outcomes": len(roster.outcomes) - len(outcomes)}


def _require_administrator(request: HttpRequest) -> None:
    if not is_administrator(request.user):
        raise PermissionDenied("Only administrators may import and export people. Ask one to do it for you.")

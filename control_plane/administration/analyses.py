"""Analyses: what groups can be granted."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from unfold.decorators import action

from control_plane.access.groups.models import Analysis
from control_plane.access.groups.services.analyses import create_analysis
from control_plane.administration import analysis_retirement
from control_plane.administration.forms import NewAnalysisForm
from control_plane.administration.pages import RecordedModelAdmin, row_page, service_page
from control_plane.base.audit.actors import Actor


@admin.register(Analysis)
class AnalysisAdmin(RecordedModelAdmin):
    """The list of analyses, and the page that makes one."""

    list_display = ("name", "slug", "bucket", "made", "stack", "groups", "standing", "description")
    list_display_links = None
    list_select_related = ("stack",)
    actions_row = ("retire",)
    search_fields = ("slug", "name", "bucket")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Analysis]:
        in_use = Q(grants__removed_generation__isnull=True)
        return super().get_queryset(request).annotate(group_count=Count("grants", filter=in_use))

    def get_urls(self) -> list[URLPattern]:
        return [*analysis_retirement.urls(self), *super().get_urls()]

    def has_delete_permission(self, request: HttpRequest, obj: Analysis | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Analysis | None = None) -> bool:
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return service_page(
            request,
            self,
            form=NewAnalysisForm(request.POST or None),
            title="New analysis",
            intent=(
                "AWS makes its bucket: private, encrypted and versioned. Describe it in the catalogue and grant it to groups "
                "afterwards."
            ),
            button="Make the analysis",
            perform=lambda data: create_analysis(
                slug=data["slug"], name=data["name"], bucket=data["bucket"], actor=Actor.of_request(request)
            )[1],
        )

    @action(description="Retire…", url_path="retire-row")
    def retire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return row_page("admin:groups_analysis_retire_page", object_id)

    @admin.display(description="Standing")
    def standing(self, analysis: Analysis) -> str:
        return f"▣ retired since {analysis.retired_at:%Y-%m-%d}" if analysis.retired_at else "in use"

    @admin.display(description="In the catalogue")
    def description(self, analysis: Analysis) -> str:
        return format_html('<a href="{}">Describe it</a>', reverse("catalogue:edit", args=(analysis.slug,)))

    @admin.display(description="On AWS")
    def made(self, analysis: Analysis) -> str:
        if not analysis.unmade_reason:
            return ""
        return format_html('<a href="{}">Not made: what to do</a>', reverse("catalogue:bucket", args=(analysis.slug,)))

    @admin.display(description="Groups")
    def groups(self, analysis: Analysis) -> int:
        return analysis.group_count  # type: ignore[attr-defined]

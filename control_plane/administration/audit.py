"""The audit trail, to read and to take away."""

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone

from control_plane.accounts.permissions import is_administrator
from control_plane.administration.pages import RecordedModelAdmin
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.export import CONTENT_TYPES, FORMATS, lines
from control_plane.base.audit.models import AuditEvent, record
from control_plane.base.visible import visible

# What the list's address says about how it is shown, rather than about what is in it.
NOT_A_FILTER = ("format", "p", "all", "o", "e")


@admin.register(AuditEvent)
class AuditEventAdmin(RecordedModelAdmin):
    """Who did what, when and from where. Nothing here can be added, changed or removed."""

    list_display = ("at", "actor", "action", "shown_target", "count", "channel", "address")
    list_filter = ("action", "channel")
    search_fields = ("actor", "target")
    list_per_page = 50
    list_before_template = "admin/cohort/audit_export.html"
    show_full_result_count = False

    @admin.display(description="target", ordering="target")
    def shown_target(self, event: AuditEvent) -> str:
        """What it was done to: keys on S3 among it, which may hold what cannot be seen."""
        return visible(event.target)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export_view)
        return [path("export/", view, name="audit_auditevent_export"), *super().get_urls()]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """What the list shows with the same filters and search, all pages of it, as a file."""
        if not is_administrator(request.user):
            raise PermissionDenied("Only administrators may export the audit trail. Ask one to do it for you.")
        form = request.GET.get("format", "")
        if form not in FORMATS:
            messages.error(request, "Choose CSV or JSON Lines. Nothing was exported.")
            return redirect("admin:audit_auditevent_changelist")
        filters = request.GET.copy()
        for name in NOT_A_FILTER:
            filters.pop(name, None)
        request.GET = filters  # type: ignore[assignment]
        try:
            events = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            messages.error(request, "The list has no such filter. Nothing was exported.")
            return redirect("admin:audit_auditevent_changelist")
        record(Actor.of_request(request), "audit.export", "audit trail", format=form, filters=filters.urlencode())
        answer = StreamingHttpResponse(lines(events, form), content_type=CONTENT_TYPES[form])
        answer["Content-Disposition"] = f'attachment; filename="audit-{timezone.now():%Y-%m-%d}.{form}"'
        return answer

"""The audit trail, to read."""

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from control_plane.audit.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(ModelAdmin):
    """Who did what, when and from where. Nothing here can be added, changed or removed."""

    list_display = ("at", "actor", "action", "target", "channel", "address")
    list_filter = ("action", "channel")
    search_fields = ("actor", "target")
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False

"""Access keys of all groups, as IAM told of them last: to look at, and to find those that nobody uses."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from control_plane.access.keys.listing import is_unused, unused_cutoff
from control_plane.access.keys.models import KeyUse
from control_plane.administration.pages import RecordedModelAdmin
from control_plane.base.config import config


class UseFilter(admin.SimpleListFilter):
    """Keys that nobody used for long, or never at all."""

    title = "use"
    parameter_name = "use"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("unused", f"unused for {config().key_unused_days} days"), ("never", "never used")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[KeyUse]) -> QuerySet[KeyUse]:
        match self.value():
            case "unused":
                return queryset.filter(pk__in=KeyUse.objects.unused_since(unused_cutoff()).values("pk"))
            case "never":
                return queryset.filter(last_used_at__isnull=True)
        return queryset


@admin.register(KeyUse)
class KeyUseAdmin(RecordedModelAdmin):
    """The list of keys. Replacing them is done on their group's page of keys."""

    list_display = ("person", "group", "access_key_id", "which", "state", "made_at", "last_used_at", "last_service", "checked_at")
    list_display_links = None
    list_filter = (UseFilter, "is_active")
    list_per_page = 50
    list_select_related = ("membership__group", "membership__user")
    search_fields = ("access_key_id", "membership__user__email", "membership__group__slug", "membership__group__name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[KeyUse]:
        of_members = KeyUse.objects.of_members()
        return super().get_queryset(request).filter(pk__in=of_members.values("pk"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: KeyUse | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: KeyUse | None = None) -> bool:
        return False

    @admin.display(description="Person", ordering="membership__user__email")
    def person(self, use: KeyUse) -> str:
        return use.membership.user.email

    @admin.display(description="Group", ordering="membership__group__slug")
    def group(self, use: KeyUse) -> str:
        group = use.membership.group
        return format_html('<a href="{}">{}</a>', reverse("group_keys", args=(group.slug,)), group.name)

    @admin.display(description="Which")
    def which(self, use: KeyUse) -> str:
        return "present" if use.serial == use.membership.key_serial else "old"

    @admin.display(description="State")
    def state(self, use: KeyUse) -> str:
        if not use.is_active:
            return "inactive"
        return "active, unused" if is_unused(use) else "active"

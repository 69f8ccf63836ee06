"""Second factors: who has one, and removing one that was lost. What it consists of is shown to nobody."""

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from control_plane.accounts.services.lost_factors import remove_factors
from control_plane.administration.pages import RecordedModelAdmin
from control_plane.base.audit.actors import Actor


class FactorAdmin(RecordedModelAdmin):
    """The list of second factors, and their removal."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    list_per_page = 50
    search_fields = ("user__email",)
    fields = ("user", "type", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Authenticator | None = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Authenticator) -> None:
        remove_factors([obj], actor=Actor.of_request(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Authenticator]) -> None:
        remove_factors(queryset.select_related("user"), actor=Actor.of_request(request))


admin.site.unregister(Authenticator)
admin.site.register(Authenticator, FactorAdmin)

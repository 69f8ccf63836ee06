"""Groups: how they stand on AWS, who is in them, and which analyses they have."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import action

from control_plane.access.groups.models import Grant, Group
from control_plane.access.groups.overview import attach_latest
from control_plane.access.groups.services.analyses import grant_analysis, revoke_analysis
from control_plane.access.groups.services.groups import create_group
from control_plane.access.retirement.models import Retirement
from control_plane.accounts.validation import fold_name
from control_plane.administration import retirement, suspension
from control_plane.administration.forms import GrantForm, NewGroupForm, RevokeForm
from control_plane.administration.pages import MAX_SELECTED, RecordedModelAdmin, row_page, service_page
from control_plane.base.audit.actors import Actor
from control_plane.deployments.models import Deployment

MAX_OPTIONS = 20


class GroupList(ChangeList):
    """The list, with every group's newest deployment looked up at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        groups = list(self.result_list)
        attach_latest(groups)
        self.result_list = groups


@admin.register(Group)
class GroupAdmin(RecordedModelAdmin):
    """The list of groups. What a group is made of changes through services only."""

    list_display = ("name", "slug", "people", "analyses", "standing", "newest_deployment", "open_page")
    search_fields = ("slug", "name")
    list_filter = (retirement.StandingFilter,)
    list_per_page = 50
    list_select_related = ("stack",)
    actions = ("grant_several",)
    actions_row = ("grant", "revoke", "suspend", "retire")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return GroupList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        wanted = Q(memberships__removed_generation__isnull=True)
        granted = Q(grants__removed_generation__isnull=True)
        return (
            super()
            .get_queryset(request)
            .annotate(
                member_count=Count("memberships", filter=wanted, distinct=True),
                grant_count=Count("grants", filter=granted, distinct=True),
                is_retiring=Exists(Retirement.objects.filter(group=OuterRef("pk"), state__in=Retirement.OPEN)),
            )
        )

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        # Looking is allowed; there is nothing to edit but through the actions.
        return obj is None and super().has_change_permission(request, obj)

    def get_urls(self) -> list[URLPattern]:
        return [
            path("options/", self.admin_site.admin_view(self.options_view), name="groups_group_options"),
            path("<int:pk>/grant/", self.admin_site.admin_view(self.grant_view), name="groups_group_grant_page"),
            path("<int:pk>/suspend/", self.admin_site.admin_view(self.suspend_view), name="groups_group_suspend_page"),
            path("<int:pk>/revoke/", self.admin_site.admin_view(self.revoke_view), name="groups_group_revoke_page"),
            *retirement.urls(self),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return service_page(
            request,
            self,
            form=NewGroupForm(request.POST or None),
            title="New group",
            intent="AWS makes its role and policies. Add people and analyses afterwards.",
            button="Make the group",
            perform=lambda data: create_group(slug=data["slug"], name=data["name"], actor=Actor.of_request(request))[1],
        )

    @admin.display(description="Members")
    def people(self, group: Group) -> int:
        return group.member_count  # type: ignore[attr-defined]

    @admin.display(description="Analyses")
    def analyses(self, group: Group) -> int:
        return group.grant_count  # type: ignore[attr-defined]

    @admin.display(description="Newest deployment")
    def newest_deployment(self, group: Group) -> str:
        deployment: Deployment | None = group.latest_deployment  # type: ignore[attr-defined]
        if deployment is None:
            return "none"
        return format_html('<a href="{}">{}</a>', deployment.get_absolute_url(), deployment.get_state_display())

    @admin.display(description="Standing")
    def standing(self, group: Group) -> str:
        if group.retired_at is not None:
            return f"retired since {group.retired_at:%Y-%m-%d}"
        if group.suspended_at is not None:
            return f"⊘ suspended since {group.suspended_at:%Y-%m-%d}"
        return "being retired" if group.is_retiring else "in use"  # type: ignore[attr-defined]

    @admin.display(description="Page")
    def open_page(self, group: Group) -> str:
        return format_html('<a href="{}">Who can reach what</a>', group.get_absolute_url())

    @action(description="Suspend or resume…", url_path="suspend-row")
    def suspend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return row_page("admin:groups_group_suspend_page", object_id)

    def suspend_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """See `suspension`."""
        return suspension.group_page(request, self, pk)

    @action(description="Retire…", url_path="retire-row")
    def retire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return row_page("admin:groups_group_retire_page", object_id)

    @action(description="Grant an analysis…", url_path="grant-row")
    def grant(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return row_page("admin:groups_group_grant_page", object_id)

    @action(description="Revoke an analysis…", url_path="revoke-row")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return row_page("admin:groups_group_revoke_page", object_id)

    @admin.action(description="Grant analyses…")
    def grant_several(self, request: HttpRequest, queryset: QuerySet[Group]) -> HttpResponse:
        """To the catalogue's page, which asks which and shows what would change."""
        chosen = queryset.filter(retired_at=None).values_list("pk", flat=True)[:MAX_SELECTED]
        return redirect(f"{reverse('catalogue:grant')}?groups={','.join(map(str, chosen))}")

    def options_view(self, request: HttpRequest) -> HttpResponse:
        """The first groups that fit what is typed into a group's field."""
        typed = request.GET.get("group", "").strip()
        groups = Group.objects.filter(Q(slug__icontains=typed) | Q(folded_name__contains=fold_name(typed)))[:MAX_OPTIONS]
        return HttpResponse(format_html_join("\n", '<option value="{}">{}</option>', ((one.slug, one.name) for one in groups)))

    def grant_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask which analysis; then let the group use it."""
        group = get_object_or_404(Group, pk=pk)
        return service_page(
            request,
            self,
            form=GrantForm(request.POST or None),
            title=f"Grant an analysis to {group.name}",
            intent="Every member of the group can use it, within the group’s own folder of its bucket.",
            button="Grant",
            perform=lambda data: grant_analysis(
                analysis=data["analysis"], group=group, level=Grant.Level(data["level"]), actor=Actor.of_request(request)
            ),
        )

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask which analysis; then end the group's use of it."""
        group = get_object_or_404(Group, pk=pk)
        return service_page(
            request,
            self,
            form=RevokeForm(request.POST or None, group=group),
            title=f"Revoke an analysis from {group.name}",
            intent="No member can reach the group’s folder of its bucket any more. The data stays.",
            button="Revoke",
            is_dangerous=True,
            perform=lambda data: revoke_analysis(analysis=data["analysis"], group=group, actor=Actor.of_request(request)),
        )

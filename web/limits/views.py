"""Page of limits for administrators: the account's, and what each group uses of its own."""

from django.core.paginator import Paginator
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from control_plane.access.limits.group_figures import group_figures, group_limits
from control_plane.access.limits.headroom import list_headroom, nearly_used_up
from control_plane.access.limits.models import Reading
from control_plane.accounts.permissions import administrator_required
from control_plane.deployments.models import StoredManifest

GROUPS_PER_PAGE = 25


@require_safe
@administrator_required("Quotas are shown to administrators. Your own groups are on your home page.")
def page(request: HttpRequest) -> HttpResponse:
    """Show the account's use of its limits, and a page of groups."""
    headroom = list_headroom()
    newest = StoredManifest.objects.filter(generation=F("stack__generation"), stack__group__isnull=False)
    groups = Paginator(newest.select_related("stack__group").order_by("stack__group__slug"), GROUPS_PER_PAGE)
    shown = groups.get_page(request.GET.get("page"))
    context = {
        "standings": headroom,
        "warnings": nearly_used_up(headroom),
        "readings": Reading.objects.order_by("account"),
        "page": shown,
        "groups": [group_figures(manifest) for manifest in shown],
        "most": group_limits(),
    }
    return render(request, "limits/page.html", context)

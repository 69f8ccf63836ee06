"""Preview of a change on AWS, shown to the person who requested it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from control_plane.base.audit.refusals import NotYours
from control_plane.deployments.models import Preview
from control_plane.deployments.previews import SESSION_KEY
from web.deployments.plan_table import shown_plan
from web.deployments.views import for_administrators

# After so many seconds the page says that no worker seems to be there.
SLOW_SECONDS = 30


@require_GET
@for_administrators
def preview(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the plan once a worker has made it; until then, that it is being made."""
    preview = Preview.objects.filter(pk=pk, asked_by=request.user.pk).first()
    if preview is None:
        raise NotYours("There is no such preview of yours.")
    names = request.session.get(SESSION_KEY, {}).get(str(pk), {})
    context = {
        "preview": preview,
        "plan": shown_plan(preview.plan, names) if preview.state == Preview.State.DONE else None,
        "is_slow": (timezone.now() - preview.created_at).total_seconds() > SLOW_SECONDS,
    }
    return render(request, "deployments/_preview.html", context)

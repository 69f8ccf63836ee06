"""Pages of the administration that ask for something, call a service, and say what it started or why it refused."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from unfold.admin import ModelAdmin as UnfoldModelAdmin

from control_plane.access.groups.models import Membership
from control_plane.accounts.permissions import is_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment, Preview
from control_plane.deployments.previews import SESSION_KEY, request_preview

Perform = Callable[[dict[str, Any]], Deployment]
# What one page can carry in its address.
MAX_SELECTED = 500


class RecordedModelAdmin(UnfoldModelAdmin):
    """A list whose rows change through services: what became of one stands in the audit trail, not in Django's own log."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        # An empty `_to_field` passes Django's own question whether it may be asked for.
        return super().get_object(request, object_id, from_field or None)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lead to the trail's rows about it. Raises Http404."""
        found = self.get_object(request, unquote(object_id))
        if found is None:
            raise Http404("There is no such row.")
        if not self.has_view_permission(request, found):
            raise PermissionDenied("Only administrators may see this. Ask one to look for you.")
        known_as = getattr(found, "slug", "") or str(found)
        return redirect(f"{reverse('admin:audit_auditevent_changelist')}?{urlencode({'q': known_as})}")


def row_page(name: str, object_id: str) -> HttpResponse:
    """Lead from a row's menu to the page that asks what to do. Raises Http404 where the row's number is none."""
    try:
        return redirect(reverse(name, args=(object_id,)))
    except NoReverseMatch as error:
        raise Http404("There is no such row.") from error


def service_page(
    request: HttpRequest,
    model_admin: ModelAdmin[Any],
    *,
    form: forms.Form,
    title: str,
    intent: str,
    button: str,
    perform: Perform,
    subjects: Sequence[object] = (),
    is_dangerous: bool = False,
    hindrance: str = "",
) -> HttpResponse:
    """Show `form`; once it is valid, call `perform` with its data. A refusal is shown on the form, and nothing has changed.

    The button “Preview” rehearses `perform` instead and shows, below the form as it was filled in, what it would do on AWS.
    `hindrance` says why there is nothing to do here, instead of the form.
    """
    if not is_administrator(request.user):
        raise PermissionDenied("Only administrators may do this. Ask one to do it for you.")
    back = f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}_changelist"
    preview: Preview | None = None
    if request.method == "POST" and form.is_valid():
        try:
            if "preview" in request.POST:
                preview = _preview(request, perform, form.cleaned_data)
            else:
                messages.success(request, _started(perform(form.cleaned_data)))
                return redirect(back)
        except Refused as error:
            form.add_error(None, str(error))
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "intent": intent,
        "button": button,
        "form": form,
        "subjects": subjects,
        "is_dangerous": is_dangerous,
        "back": back,
        "hindrance": hindrance,
        "preview": preview,
    }
    return TemplateResponse(request, "admin/cohort/service_page.html", context, status=422 if form.errors else 200)


def _preview(request: HttpRequest, perform: Perform, data: dict[str, Any]) -> Preview:
    """Rehearse it, and remember who its members are: the opaque names that a rehearsal makes up are gone with it."""
    people: dict[str, str] = {}

    def rehearse() -> Deployment:
        deployment = perform(data)
        members = Membership.objects.filter(group__stack=deployment.stack_id, added_generation=deployment.generation)
        people.update(members.values_list("username", "user__email")[:MAX_SELECTED])
        return deployment

    preview = request_preview(rehearse, actor=Actor.of_request(request))
    request.session[SESSION_KEY] = {str(preview.pk): people}
    return preview


def _started(deployment: Deployment) -> str:
    summary = deployment.changes.order_by("-pk").values_list("summary", flat=True).first() or str(deployment)
    return format_html(
        '{} has started. <a class="underline font-semibold" href="{}">Watch deployment {}</a>',
        summary,
        deployment.get_absolute_url(),
        deployment.pk,
    )

"""Pages of the administration that ask for something, call a service, and say what it started or why it refused."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.html import format_html

from control_plane.accounts.permissions import is_administrator
from control_plane.deployments.models import Deployment
from control_plane.groups.errors import GroupsError

Perform = Callable[[dict[str, Any]], Deployment]
# What one page can carry in its address.
MOST_SELECTED = 500


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

    `hindrance` says why there is nothing to do here, instead of the form.
    """
    if not is_administrator(request.user):
        raise PermissionDenied("Only administrators may do this. Ask one to do it for you.")
    back = f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}_changelist"
    if request.method == "POST" and form.is_valid():
        try:
            deployment = perform(form.cleaned_data)
        except GroupsError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _started(deployment))
            return redirect(back)
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
    }
    return TemplateResponse(request, "admin/cohort/service_page.html", context, status=422 if form.errors else 200)


def _started(deployment: Deployment) -> str:
    summary = deployment.changes.order_by("-pk").values_list("summary", flat=True).first() or str(deployment)
    return format_html(
        '{} has started. <a class="underline font-semibold" href="{}">Watch deployment {}</a>',
        summary,
        deployment.get_absolute_url(),
        deployment.pk,
    )

"""View of `/favicon.ico`, which browsers request for files, errors, and whatever else names no icon."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.views.decorators.http import require_safe


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect to the icon. Open to all."""
    return redirect(static("cohort/icon.svg"))

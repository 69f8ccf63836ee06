"""Health, as load balancers, Prometheus and administrators ask for it."""

import platform
import secrets
import tomllib
from functools import lru_cache
from typing import Any

import django
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from control_plane.accounts.permissions import administrator_required, is_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.audit.refusals import record_refusal
from control_plane.base.config import ROOT, config
from control_plane.deployments.models import DriftState
from control_plane.notifications import failures
from control_plane.notifications.models import Notice
from control_plane.operation.health import figures, metrics, readiness

MAX_MESSAGES = 20
for_administrators = administrator_required("Health is shown to administrators. Your own groups are on your home page.")


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that the process is alive. Nothing else is checked."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 if the site can work, or 503 with the failed check and what to do."""
    answer = readiness.as_dict(readiness.check())
    return JsonResponse(answer, status=200 if answer["ready"] else 503)


@require_safe
@never_cache
def prometheus(request: HttpRequest) -> HttpResponse:
    """Return the metrics, for callers with METRICS_TOKEN and for administrators."""
    if not (_shows_token(request) or is_administrator(request.user)):
        record_refusal(request, PermissionDenied("Metrics are shown to administrators."))
        return HttpResponse(
            "Metrics are for administrators, and for scrapers that send `Authorization: Bearer` with METRICS_TOKEN.\n",
            status=403,
            content_type="text/plain",
        )
    return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


@require_safe
@for_administrators
def page(request: HttpRequest) -> HttpResponse:
    """Show the health of the site, to administrators."""
    return render(request, "health/page.html", _context())


@require_safe
@for_administrators
def live(request: HttpRequest) -> HttpResponse:
    """Show the part of the page that changes."""
    return render(request, "health/_figures.html", _context())


@require_POST
@for_administrators
def send_again(request: HttpRequest, notice_id: int) -> HttpResponse:
    """Retry a message that could not be delivered."""
    notice = get_object_or_404(Notice, pk=notice_id)
    with transaction.atomic():
        is_tried = failures.try_again(notice.pk)
        if is_tried:
            record(Actor.of_request(request), "message.again", notice.recipient, event=notice.event)
    if is_tried:
        messages.success(request, f"The message to {notice.recipient} is tried again now. It leaves this list once it was taken.")
    else:
        messages.warning(request, f"Nothing was sent to {notice.recipient}: that message was taken, or is being tried already.")
    return redirect("health:page")


def _context() -> dict[str, Any]:
    now = figures.gather()
    return {
        "figures": now,
        "drift": [(label, now.drift.get(state, 0)) for state, label in DriftState.choices],
        "longest_mean": max((stage.mean for stage in now.stages), default=0.0),
        "mail_problem": failures.mail_problem(),
        "undelivered": failures.undelivered()[:MAX_MESSAGES],
        "most_outcomes": max((outcome.count for outcome in now.outcomes), default=0),
        "versions": {**_versions(), "Database": _database()},
    }


def _shows_token(request: HttpRequest) -> bool:
    token = config().metrics_token
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    return secrets.compare_digest(shown.strip().encode(), token.get_secret_value().encode())


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"Cohort": project["version"], "Django": django.get_version(), "Python": platform.python_version()}


def _database() -> str:
    version = ".".join(map(str, connection.get_database_version()))
    return f"{connection.display_name} {version}"

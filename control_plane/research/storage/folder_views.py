"""Views about a group's folder: people outside the group learn nothing; people who are being added get a page that waits."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from control_plane.access.groups.errors import BeingMadeReady, NoCredentials, NotGranted, NotMember, Suspended
from control_plane.accounts.models import User
from control_plane.base.audit.refusals import NotYours
from control_plane.research.storage.group_folder import GroupFolder, find_group_folder

View = Callable[Concatenate[HttpRequest, GroupFolder, ...], HttpResponse]


def requested_folder(request: HttpRequest, slug: str, analysis: str) -> GroupFolder:
    """Return the folder of this group and analysis for the person who asks.

    Raises NotYours, PermissionDenied (suspended), or NoCredentials.
    """
    if not isinstance(request.user, User):
        raise NotYours
    try:
        return find_group_folder(group_slug=slug, analysis_slug=analysis, user=request.user)
    except (NotMember, NotGranted) as error:
        raise NotYours(str(error)) from error
    except Suspended as error:
        raise PermissionDenied(str(error)) from error


def with_folder(view: View) -> Callable[..., HttpResponse]:
    """Pass the folder of the group and analysis in the address to the view, for the member who asks."""

    @login_required
    @never_cache
    @wraps(view)
    def wrapped(request: HttpRequest, slug: str, analysis: str, **more: Any) -> HttpResponse:
        waiting = {"group": slug, "analysis": analysis}
        try:
            folder = requested_folder(request, slug, analysis)
        except NoCredentials:
            return render(request, "storage/waiting.html", waiting)
        try:
            return view(request, folder, **more)
        except BeingMadeReady:
            # Its page turns by itself; what was sent is not sent again.
            return render(request, "storage/waiting.html", waiting)

    return wrapped

"""Pages about one place: who is not in it learns nothing, and who soon will be waits on a page that turns by itself."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from control_plane.groups.errors import BeingMadeReady, NoCredentials
from control_plane.storage.places import Place
from web.files.places import requested_place

View = Callable[Concatenate[HttpRequest, Place, ...], HttpResponse]


def in_place(view: View) -> Callable[..., HttpResponse]:
    """Give the view the place of the group and the analysis in the address, for the member who asks."""

    @login_required
    @never_cache
    @wraps(view)
    def wrapped(request: HttpRequest, slug: str, analysis: str, **more: Any) -> HttpResponse:
        waiting = {"group": slug, "analysis": analysis}
        try:
            place = requested_place(request, slug, analysis)
        except NoCredentials:
            return render(request, "files/waiting.html", waiting)
        try:
            return view(request, place, **more)
        except BeingMadeReady:
            # Its page turns by itself; what was sent is not sent again.
            return render(request, "files/waiting.html", waiting)

    return wrapped

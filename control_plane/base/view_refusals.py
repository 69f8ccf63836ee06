"""Refusals of what a form asked for, said on the page that the form belongs to."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from control_plane.base.errors import Refused

Arguments = ParamSpec("Arguments")
View = Callable[Concatenate[HttpRequest, Arguments], HttpResponse]


def show_refusal_on(page: str, *parameters: str) -> Callable[[View[Arguments]], View[Arguments]]:
    """Have a view that is refused lead to this page, with the message; `parameters` of its own address are the page's too.

    Directly above the view: whoever may not ask at all is told so before.
    """

    def decorate(view: View[Arguments]) -> View[Arguments]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Arguments.args, **kwargs: Arguments.kwargs) -> HttpResponse:
            try:
                return view(request, *args, **kwargs)
            except Refused as refusal:
                messages.error(request, str(refusal))
                given: dict[str, Any] = request.resolver_match.kwargs if request.resolver_match else {}
                return HttpResponseRedirect(reverse(page, kwargs={name: given[name] for name in parameters}))

        return cast("View[Arguments]", guarded)

    return decorate

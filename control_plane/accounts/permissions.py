"""Permission checks about administrators. Services call them; no view decides by itself."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor

Arguments = ParamSpec("Arguments")
Response = TypeVar("Response", bound=HttpResponseBase)
View = Callable[Concatenate[HttpRequest, Arguments], Response]


def is_administrator(user: User | AnonymousUser | None) -> bool:
    """Check whether this person administers every group: active, staff and superuser."""
    return isinstance(user, User) and user.is_active and user.is_staff and user.is_superuser


def require_administrator(actor: Actor) -> None:
    """Raise PermissionDenied unless the actor is an administrator or works at this machine's terminal."""
    if actor.is_operator or is_administrator(actor.user):
        return
    raise PermissionDenied("Only an administrator may do this. Nothing was changed; ask one to do it for you.")


def administrator_required(refusal: str) -> Callable[[View[Arguments, Response]], View[Arguments, Response]]:
    """Let in administrators alone: those who are not signed in are asked to, others are told `refusal`."""

    def decorate(view: View[Arguments, Response]) -> View[Arguments, Response]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Response:
            if not is_administrator(request.user):
                raise PermissionDenied(refusal)
            return view(request, *args, **kwargs)

        return cast("View[Arguments, Response]", login_required(guarded))

    return decorate


def active_administrators() -> QuerySet[User]:
    """Return the people who can administer every group now."""
    return User.objects.filter(is_active=True, is_staff=True, is_superuser=True).order_by("pk")


def context(request: HttpRequest) -> dict[str, Any]:
    """Return `is_administrator` for templates (context processor)."""
    return {"is_administrator": is_administrator(getattr(request, "user", None))}

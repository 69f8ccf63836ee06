"""Passkeys of the signed-in person. The pages are allauth's; a request for another's passkey is refused and recorded here."""

from collections.abc import Callable

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import views
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse

from control_plane.base.audit.refusals import NotYours

View = Callable[..., HttpResponse]


@login_required
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename a passkey."""
    return _own(views.edit_webauthn, request, pk)


@login_required
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a passkey."""
    return _own(views.remove_webauthn, request, pk)


def _own(view: View, request: HttpRequest, pk: int) -> HttpResponse:
    mine = Authenticator.objects.filter(user=request.user.pk, type=Authenticator.Type.WEBAUTHN, pk=pk)
    if not mine.exists():
        raise NotYours("There is no such passkey of yours. Nothing was changed.")
    return view(request, pk=pk)

"""The administration's frame: which of Django's stock addresses are open, and where the others lead.

What Django brings to sign in, to sign out and to set passwords knows no rate limit, no second factor, no mail and no audit trail;
the account's own pages do.
"""

from collections.abc import Callable
from typing import Any

from allauth.account import views as account_views
from django.core.paginator import InvalidPage
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from unfold.sites import UnfoldAdminSite

from control_plane.administration.access import admits

# Django's own addresses that nothing of ours uses: one reveals where any row's page is, one lists rows of any model.
CLOSED = {"view_on_site", "autocomplete"}


def closed(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """Answer that there is no such page."""
    raise Http404("There is no such page in the administration.")


class AdministrationSite(UnfoldAdminSite):
    """Django's administration with the account's own pages in place of its own."""

    def has_permission(self, request: HttpRequest) -> bool:
        return admits(request)

    def get_urls(self) -> list[Any]:
        urls = super().get_urls()
        return [_close(one, self.admin_view) if isinstance(one, URLPattern) and one.name in CLOSED else one for one in urls]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lead to the one sign-in, which has rate limits and asks for the second factor; who is signed in goes on."""
        wanted = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
            wanted = reverse("admin:index")
        if admits(request):
            return HttpResponseRedirect(wanted)
        return redirect(f"{reverse('account_login')}?{urlencode({'next': wanted})}")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """Sign out as the rest of the site does."""
        return account_views.logout(request)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lead to the account's own page."""
        return redirect("account_change_password")

    def password_change_done(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lead to the account's own page."""
        return redirect("profile")

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Search for a page's name. Raises Http404 for a page of results that does not exist."""
        try:
            return super().search(request, extra_context)
        except (InvalidPage, ValueError) as error:
            raise Http404("There is no such page of results.") from error


def _close(pattern: URLPattern, admin_view: Callable[..., Any]) -> URLPattern:
    return path(str(pattern.pattern), admin_view(closed), name=pattern.name)

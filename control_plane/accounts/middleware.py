"""What holds for every request of somebody who is signed in, or who leaves for another site."""

import logging
from collections.abc import Callable
from ipaddress import ip_address
from traceback import walk_tb
from urllib.parse import urlsplit

from allauth.socialaccount.models import SocialApp
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.defaults import page_not_found
from requests import RequestException

from control_plane.accounts import known_devices
from control_plane.accounts.models import User
from control_plane.accounts.second_factors import has_second_factor, is_required
from control_plane.base.config import config

logger = logging.getLogger("cohort.accounts")
GetResponse = Callable[[HttpRequest], HttpResponse]
MISSING = "You administer this site, so a second factor is needed. Add one here; then you can go on."


class ClientAddressMiddleware:
    """Takes who comes from X-Forwarded-For where proxies of one's own stand before the site: for rate limits and the audit trail.

    What stands left of the proxies' own entries was written by the client, and is not believed.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        proxies = config().trusted_proxies
        addresses = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if 0 < proxies <= len(addresses):
            try:
                request.META["REMOTE_ADDR"] = str(ip_address(addresses[-proxies].strip()))
            except ValueError:
                logger.warning("a proxy's X-Forwarded-For holds no address where TRUSTED_PROXIES=%d says", proxies)
        return self._get_response(request)


class KnownDeviceMiddleware:
    """Gives the browser in which somebody signed in, or changed their password, its cookie as a known device."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        known_devices.set_cookie(request, response)
        return response


class SecondFactorMiddleware:
    """Leads whoever must have a second factor, and has none, to where one is added. Nothing else answers until then."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if isinstance(user, User) and is_required(user) and not _is_open(request.path) and not has_second_factor(user):
            if request.path.startswith("/api/"):
                return JsonResponse({"error": MISSING}, status=403)
            messages.warning(request, MISSING)
            return redirect("mfa_index")
        return self._get_response(request)


def _is_open(path: str) -> bool:
    """Adding a factor, proving who one is for that, signing out, and what a load balancer asks."""
    reauthenticate = reverse("account_reauthenticate")
    return path.startswith((reverse("mfa_index"), reauthenticate, reverse("account_logout"), "/static/", "/healthz", "/readyz"))


class AccountPagesMiddleware:
    """Lets no cache keep an account's page, and turns a redirect to another site that answers a form into a page that goes there.

    Browsers hold a form to the policy's `form-action` on every redirect that follows, and where an institution's sign-in
    leads in the end cannot be known beforehand.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if not request.path.startswith(("/accounts/", "/identity/")):
            return response
        if request.method == "POST" and isinstance(response, HttpResponseRedirect):
            parts = urlsplit(response.url)
            if parts.scheme in ("http", "https") and parts.netloc != request.get_host():
                page = render(request, "socialaccount/login_redirect.html", {"redirect_to": response.url, "host": parts.hostname})
                page.cookies.update(response.cookies)
                response = page
        add_never_cache_headers(response)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Django's hook for what a view raised: a provider that is not set up, does not answer, or answers what cannot be read."""
        if isinstance(exception, SocialApp.DoesNotExist):
            return page_not_found(request, exception)
        if isinstance(exception, RequestException) and request.path.startswith("/accounts/"):
            logger.warning("a server to sign in with does not answer: %s", exception)
            return render(request, "socialaccount/authentication_error.html", status=502)
        if _was_reading_an_answer(exception):
            logger.error("a server to sign in with says of somebody what cannot be read", exc_info=exception)
            return render(request, "socialaccount/authentication_error.html", status=502)
        return None


def _was_reading_an_answer(exception: Exception) -> bool:
    """Whether a provider's own code raised it over what its server said; what is done with that afterwards is ours."""
    return any(
        frame.f_code.co_name == "complete_login" and frame.f_globals["__name__"].startswith("allauth.socialaccount.providers.")
        for frame, _ in walk_tb(exception.__traceback__)
    )

"""Middleware of accounts: client addresses, known devices, required second factors, and account pages."""

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
SECOND_FACTOR_MISSING = "You administer this site, so a second factor is needed. Add one here; then you can go on."


class ClientAddressMiddleware:
    """Sets the client's address from X-Forwarded-For behind one's own proxies: for rate limits and the audit trail.

    Entries left of the proxies' own were written by the client and are not trusted.
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
    """Sets the known-device cookie in a browser in which somebody signed in or changed their password."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        known_devices.set_cookie(request, response)
        return response


class SecondFactorMiddleware:
    """Redirects people whose required second factor is missing to the page that adds one. Nothing else answers until then."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if isinstance(user, User) and is_required(user) and not _is_open(request.path) and not has_second_factor(user):
            if request.path.startswith("/api/"):
                return JsonResponse({"error": SECOND_FACTOR_MISSING}, status=403)
            messages.warning(request, SECOND_FACTOR_MISSING)
            return redirect("mfa_index")
        return self._get_response(request)


def _is_open(path: str) -> bool:
    """Check whether the path is allowed without a second factor: adding one, reauthentication, signing out, health checks."""
    reauthenticate = reverse("account_reauthenticate")
    return path.startswith((reverse("mfa_index"), reauthenticate, reverse("account_logout"), "/static/", "/healthz", "/readyz"))


class AccountPagesMiddleware:
    """Forbids caching of account pages, and replaces a form's redirect to another site by a page that goes there.

    Browsers apply the policy's `form-action` to every redirect that follows a form, and the final address of an institution's
    sign-in is not known beforehand.
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
        """Answer errors of sign-in by a provider (Django's hook): not configured, no response, or a response with invalid data."""
        if isinstance(exception, SocialApp.DoesNotExist):
            return page_not_found(request, exception)
        if isinstance(exception, RequestException) and request.path.startswith("/accounts/"):
            logger.warning("a server to sign in with does not answer: %s", exception)
            return render(request, "socialaccount/authentication_error.html", status=502)
        if _was_raised_by_provider(exception):
            logger.error("a server to sign in with says of somebody what cannot be read", exc_info=exception)
            return render(request, "socialaccount/authentication_error.html", status=502)
        return None


def _was_raised_by_provider(exception: Exception) -> bool:
    """Check whether allauth's provider code raised the exception while it read the server's answer; later code is ours."""
    return any(
        frame.f_code.co_name == "complete_login" and frame.f_globals["__name__"].startswith("allauth.socialaccount.providers.")
        for frame, _ in walk_tb(exception.__traceback__)
    )

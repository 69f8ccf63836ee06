"""The Content-Security-Policy of each answer: the site's or the administration's, with a page's own folder in S3.

A page names the one bucket that it is about, computed when it is answered: a policy grows with nothing, an analysis that is made
while pages are open is in the policy of its own page, and no page can send anything to a bucket of anybody else's.
"""

from typing import Any

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

ADMINISTRATION = "/admin/"
_ATTRIBUTE = "_content_policy_update"


def allow_folder(request: HttpRequest, address: str, prefix: str) -> None:
    """Let the page that answers this request read and write below `prefix` in the bucket at `address`, and list the bucket.

    A path of a policy stands for all below it where it ends in a slash, and for itself alone otherwise (W3C, "Content Security
    Policy Level 3", 6.7.2.13). A bucket with a host of its own is listed at `/`, which would stand for all; so it is named by its
    host, and one beside others on one host by its path.
    """
    folder = f"{address}/{prefix}"
    setattr(request, _ATTRIBUTE, {"connect-src": [address, folder], "img-src": [folder], "media-src": [folder]})


class ContentPolicyMiddleware(CSPMiddleware):
    """Chooses the policy by the address, and adds what the view allowed."""

    def get_policy_parts(self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if report_only:
            return parts
        if request.path_info.startswith(ADMINISTRATION):
            config: dict[str, Any] = settings.ADMINISTRATION_POLICY
            parts.config = config
        else:
            parts.update = getattr(request, _ATTRIBUTE, None)
        return parts

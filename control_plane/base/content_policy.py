"""Content-Security-Policy of each response: the site's or the administration's, extended by a page's own folder in S3.

The policy of a page names only the bucket that the page is about, and is computed for each response: it does not grow with the
number of analyses, a new analysis is in the policy of its own page at once, and no page can send anything to another bucket.
"""

from collections.abc import Sequence
from typing import Any

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

ADMINISTRATION = "/admin/"
_ATTRIBUTE = "_content_policy_update"


def allow_folder(request: HttpRequest, address: str, others: Sequence[str], prefix: str) -> None:
    """Allow the page that answers this request to read and write below `prefix` in the bucket at `address`, and to list the bucket.

    Under its other addresses too, but for what is shown: that is read under the first.

    A path in a policy matches everything below it if it ends in a slash, and otherwise itself alone (W3C, "Content Security
    Policy Level 3", 6.7.2.13). A bucket with a host of its own is listed at `/`, which would match everything; so such a bucket is
    named by its host, and one that shares a host with others by its path.
    """
    folder = f"{address}/{prefix}"
    connected = [source for each in (address, *others) for source in (each, f"{each}/{prefix}")]
    setattr(request, _ATTRIBUTE, {"connect-src": connected, "img-src": [folder], "media-src": [folder]})


class ContentPolicyMiddleware(CSPMiddleware):
    """Middleware that chooses the policy by the path, and adds the folder that the view allowed."""

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

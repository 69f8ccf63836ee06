"""What the review's pages share, whether of one group or of all: the same table, the same search, the same CSV."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, StreamingHttpResponse

from control_plane.access.groups.models import Group
from control_plane.access.review import listing
from control_plane.access.review.export import csv_lines

LINES_PER_PAGE = 50
# The CSV has the rest.
MAX_FINDINGS = 50
CHOICES = (("person", "By person"), ("group", "By group"), ("bucket", "By bucket"))


def table(request: HttpRequest, group: Group | None = None) -> dict[str, Any]:
    """A page of lines, as the address asks for them, and what is not as it should be."""
    asked = _asked(request)
    page = Paginator(listing.lines(group=group, **asked), LINES_PER_PAGE).get_page(request.GET.get("page"))
    found = listing.findings(group)
    return {
        **asked,
        "page": page,
        "lines": listing.shown(list(page.object_list), asked["by"]),
        "choices": [choice for choice in CHOICES if group is None or choice[0] != "group"],
        "findings": list(found[:MAX_FINDINGS]),
        "more_findings": max(0, found.count() - MAX_FINDINGS),
    }


def download(request: HttpRequest, name: str, group: Group | None = None) -> StreamingHttpResponse:
    """The same lines as a file, all of them."""
    rows = csv_lines(listing.lines(group=group, **_asked(request)), listing.findings(group), None if group else listing.unmanaged())
    response = StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response["Cache-Control"] = "no-store"
    return response


def _asked(request: HttpRequest) -> dict[str, Any]:
    by = request.GET.get("by", "person")
    return {
        "by": by if by in listing.ORDERS else "person",
        "search": request.GET.get("search", "")[: listing.LONGEST_SEARCH],
        "only_differences": request.GET.get("only") == "differences",
    }

"""Table, search and CSV that the review's pages share, for one group or for all."""

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


def lines_context(request: HttpRequest, group: Group | None = None) -> dict[str, Any]:
    """Return the template context: a page of lines as the query string asks for them, and the findings."""
    asked = _asked(request)
    page = Paginator(listing.review_lines(group=group, **asked), LINES_PER_PAGE).get_page(request.GET.get("page"))
    findings = listing.findings(group)
    return {
        **asked,
        "page": page,
        "lines": listing.review_rows(list(page.object_list), asked["by"]),
        "choices": [choice for choice in CHOICES if group is None or choice[0] != "group"],
        "findings": list(findings[:MAX_FINDINGS]),
        "more_findings": max(0, findings.count() - MAX_FINDINGS),
    }


def csv_response(request: HttpRequest, name: str, group: Group | None = None) -> StreamingHttpResponse:
    """Return all lines of the same query as a CSV attachment."""
    rows = csv_lines(
        listing.review_lines(group=group, **_asked(request)), listing.findings(group), None if group else listing.unmanaged()
    )
    response = StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response["Cache-Control"] = "no-store"
    return response


def _asked(request: HttpRequest) -> dict[str, Any]:
    by = request.GET.get("by", "person")
    return {
        "by": by if by in listing.ORDERS else "person",
        "search": request.GET.get("search", "")[: listing.MAX_SEARCH_CHARACTERS],
        "only_differences": request.GET.get("only") == "differences",
    }

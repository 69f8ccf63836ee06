"""CSV export of the review, streamed line by line."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import QuerySet

from control_plane.access.groups.models import Access
from control_plane.access.review import listing
from control_plane.access.review.models import AccessEntry, Finding, UnmanagedResource
from control_plane.base.csv_cells import csv_line

COLUMNS = (
    *("person", "group", "bucket", "prefix", "list", "read", "write", "delete", "write_to", "access", "principal"),
    *("since", "granted_by", "last_used_at", "marks", "differs"),
)
ROWS_PER_QUERY = 1000


def csv_lines(
    lines: QuerySet[AccessEntry], findings: QuerySet[Finding], unmanaged: QuerySet[UnmanagedResource] | None = None
) -> Iterator[str]:
    """Yield the file's lines, each with its end of line: the review's lines, then findings, then unmanaged resources.

    One query per thousand rows.
    """
    yield csv_line(COLUMNS)
    keys = list(lines.values_list("pk", flat=True))
    for start in range(0, len(keys), ROWS_PER_QUERY):
        rows = {row.pk: row for row in lines.filter(pk__in=keys[start : start + ROWS_PER_QUERY])}
        # A line that a scan has replaced meanwhile is left out.
        for key in keys[start : start + ROWS_PER_QUERY]:
            if key in rows:
                yield csv_line(_line(rows[key]))
    for finding in findings.iterator(chunk_size=ROWS_PER_QUERY):
        yield csv_line(_finding(finding))
    for row in unmanaged if unmanaged is not None else ():
        yield csv_line(_unmanaged(row))


def _line(line: AccessEntry) -> list[str]:
    membership = line.membership
    return [
        membership.user.email if membership else "",
        line.group.slug,
        line.bucket,
        line.prefix,
        *(("no", "yes")[can] for can in (line.can_list, line.can_read, line.can_write, line.can_delete)),
        line.write_to,
        Access(membership.access).value if membership else "",
        line.principal,
        _moment(listing.accessible_since(line)),
        listing.granted_by(line),
        _moment(listing.last_used(line)),
        "; ".join(line.mark_labels),
        ("no", "yes")[line.differs],
    ]


def _finding(finding: Finding) -> list[str]:
    row = dict.fromkeys(COLUMNS, "")
    row["person"] = finding.membership.user.email if finding.membership else ""
    row["group"] = finding.scan.group.slug if finding.scan.group else ""
    row["principal"], row["differs"] = finding.principal, "yes"
    row["marks"] = f"{finding.get_kind_display()}: {finding.detail}"
    return list(row.values())


def _unmanaged(resource: UnmanagedResource) -> list[str]:
    row = dict.fromkeys(COLUMNS, "")
    row["group"], row["principal"], row["differs"] = resource.slug, resource.name, "yes"
    row["bucket"] = ", ".join(place["bucket"] for place in resource.reach)
    row["since"] = _moment(resource.made_at)
    row["marks"] = f"{resource.get_kind_display()} that the database does not know: {resource.get_state_display()}"
    return list(row.values())


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""

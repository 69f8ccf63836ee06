"""Export of the audit trail: CSV for a spreadsheet, or JSON Lines for a program. Oldest first, however long it is."""

import json
from collections.abc import Iterator
from typing import Any, Literal

from django.db.models import QuerySet

from control_plane.base.audit.models import AuditEvent
from control_plane.base.csv_cells import csv_line

Format = Literal["csv", "jsonl"]
FORMATS: tuple[Format, ...] = ("csv", "jsonl")
CONTENT_TYPES: dict[Format, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}
COLUMNS = ("id", "at", "actor", "channel", "address", "action", "target", "count", "details")
ROWS_PER_QUERY = 1000


def lines(events: QuerySet[AuditEvent], form: Format) -> Iterator[str]:
    """Yield the file's lines, each with its end of line. One query per ROWS_PER_QUERY rows, so that no transaction stays open.

    Rows that are added meanwhile are left out.
    """
    if form == "csv":
        yield csv_line(COLUMNS)
        for event in _in_order(events):
            yield csv_line(_as_dict(event, json.dumps).values())
    else:
        for event in _in_order(events):
            yield json.dumps(_as_dict(event), ensure_ascii=False) + "\n"


def _in_order(events: QuerySet[AuditEvent]) -> Iterator[AuditEvent]:
    events = events.order_by("pk")
    last = events.values_list("pk", flat=True).last() or 0
    after = 0
    while page := list(events.filter(pk__gt=after, pk__lte=last)[:ROWS_PER_QUERY]):
        yield from page
        after = page[-1].pk


def _as_dict(event: AuditEvent, details: Any = lambda value: value) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at.isoformat(),
        "actor": event.actor,
        "channel": event.channel,
        "address": event.address or "",
        "action": event.action,
        "target": event.target,
        "count": event.count,
        "details": details(event.details),
    }

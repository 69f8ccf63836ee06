"""Every file of ours that a spreadsheet opens: no cell of it is run."""

import ast
import csv
import io
from pathlib import Path

import pytest
from django.db.models import QuerySet

from control_plane.access.review.export import csv_lines
from control_plane.access.review.models import AccessEntry, Finding, UnmanagedResource
from control_plane.access.rosters.services.export import export
from control_plane.accounts.models import User
from control_plane.base.audit.export import lines
from control_plane.base.audit.models import AuditEvent, record
from control_plane.base.csv_cells import csv_line
from tests.actors import OPERATOR
from tests.factories import ScanFactory

ROOT = Path(__file__).resolve().parents[3]
RUN = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "'=1", "\u00a0=1", "＝1", "＋1", "－1", "＠1"]


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("value", RUN)
def test_a_line_holds_what_is_run_as_text_and_numbers_as_they_are(value: str) -> None:
    assert cells(csv_line([value, "plain", 1, -1])) == [[f"'{value}", "plain", "1", "-1"]]


@pytest.mark.django_db
@pytest.mark.parametrize("value", RUN)
def test_no_export_holds_a_cell_that_is_run(value: str, ada: User) -> None:
    record(OPERATOR, "test", value)
    User.objects.filter(pk=ada.pk).update(name=value)
    Finding.objects.create(scan=ScanFactory.create(), principal=value)
    unmanaged: QuerySet[UnmanagedResource] = UnmanagedResource.objects.none()
    files = {
        "audit": lines(AuditEvent.objects.all(), "csv"),
        "review": csv_lines(AccessEntry.objects.none(), Finding.objects.all(), unmanaged),
        "roster": export(actor=OPERATOR),
    }
    for name, file in files.items():
        found = [cell for row in cells("".join(file)) for cell in row]
        assert f"'{value}" in found, name
        assert value not in found, name


def test_nothing_writes_csv_in_another_way() -> None:
    writing = {
        path.relative_to(ROOT).as_posix()
        for folder in ("control_plane", "web")
        for path in (ROOT / folder).rglob("*.py")
        if any(
            isinstance(node, ast.Attribute) and ast.unparse(node) in ("csv.writer", "csv.DictWriter")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    assert writing == {"control_plane/base/csv_cells.py"}

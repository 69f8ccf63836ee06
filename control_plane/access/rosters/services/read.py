"""Parser of rosters: from the bytes of a file to rows, with all problems by line and column.

Nothing here raises for a file's content, and nothing here runs a query. Each line is parsed by itself, as no cell may hold a line
break: a missing quotation mark spoils one row, not all that follow.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from django.core.exceptions import ValidationError

from control_plane.access.groups.models import Access
from control_plane.access.rosters.services.days import Days
from control_plane.access.rosters.services.encoding import decode
from control_plane.accounts.validation import tidy_name, validate_email, validate_person_name
from control_plane.base.csv_cells import read_cell
from control_plane.base.visible import visible

COLUMNS = ("email", "name", "group", "access", "manager", "ends_on", "action")
MAX_ROWS = 10_000
MAX_CELL_CHARACTERS = 120
MAX_COMPLAINT_CHARACTERS = 400
# Separators of cells to choose from where there is no `sep=` line.
SEPARATORS = (",", ";", "\t")
ADD, REMOVE = "add", "remove"
NEVER = "never"
_YES, _NO = ("yes", "y", "true", "1"), ("no", "n", "false", "0")
# Spellings of the columns' names. Case, spaces, hyphens and underscores do not count.
_NAMES = {column.replace("_", ""): column for column in COLUMNS} | {"emailaddress": "email", "mail": "email", "endson": "ends_on"}


@dataclass(frozen=True)
class RosterProblem:
    """Problem in a roster: where it is, and what to do. Lines count from 1; `column` is one of COLUMNS, or empty."""

    line: int
    column: str
    text: str

    def __str__(self) -> str:
        where = f"Line {self.line}" + (f", {self.column}" if self.column else "")
        return f"{where}: {self.text}"


@dataclass(frozen=True)
class Row:
    """Row of a roster. None and "" mean that the cell is empty: the present value stays."""

    line: int
    email: str = ""
    name: str = ""
    group: str = ""
    access: str = ""
    manager: bool | None = None
    ends_on: date | None = None
    never_ends: bool = False
    action: str = ADD
    problems: tuple[RosterProblem, ...] = ()

    @property
    def says(self) -> tuple[object, ...]:
        """Content of the row, without its line."""
        return self.email, self.name, self.group, self.access, self.manager, self.ends_on, self.never_ends, self.action


@dataclass(frozen=True)
class Reading:
    """Rows of a file, good and bad, problems of the file as a whole, and notes on how it was understood."""

    rows: tuple[Row, ...] = ()
    problems: tuple[RosterProblem, ...] = ()
    notes: tuple[str, ...] = ()


def read_roster(content: bytes) -> Reading:
    """Read a file. One that cannot be read at all gives no rows, and problems that tell why."""
    decoded = decode(content)
    if decoded.complaint:
        return Reading(problems=(RosterProblem(1, "", decoded.complaint),))
    return read_roster_text(decoded.text, note=decoded.note)


def read_roster_text(text: str, *, note: str = "") -> Reading:
    """Read a file's decoded text; `note` is a note on its encoding."""
    separator, lines = split_lines(text, lambda cell: _column(cell) is not None)
    if not lines:
        return Reading(
            problems=(RosterProblem(1, "", f"The file is empty. Its first line names the columns: {', '.join(COLUMNS)}."),)
        )
    head, *rest = lines
    columns, problems, is_fatal = _columns(head, separator)
    if len(rest) > MAX_ROWS:
        problems.append(RosterProblem(head[0], "", f"The file has {len(rest)} rows, and {MAX_ROWS} are taken at once. Split it."))
        is_fatal = True
    if is_fatal:
        return Reading(problems=tuple(problems))
    if not rest:
        problems.append(RosterProblem(head[0], "", "There are only the columns’ names, and no row below them."))
    days = Days.of(_days(rest, columns, separator))
    rows = tuple(_row(number, line, columns, separator, days) for number, line in rest if _holds_something(line, separator))
    return Reading(rows, tuple(problems), tuple(filter(None, [note, _note_on_days(rest, columns, separator, days)])))


def split_lines(text: str, is_known: Callable[[str], bool]) -> tuple[str, list[tuple[int, str]]]:
    """Return the separator of a file's cells, and its numbered lines that are not empty, without Excel's `sep=` line.

    `is_known` tells if a cell is the name of a column.
    """
    return _separator(_lines(text), is_known)


def _lines(text: str) -> list[tuple[int, str]]:
    """Return the lines that are not empty, with their numbers."""
    ended = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [(number, line) for number, line in enumerate(ended, 1) if line.strip(" ,;\t\"'\ufeff\u00a0")]


def _separator(lines: list[tuple[int, str]], is_known: Callable[[str], bool]) -> tuple[str, list[tuple[int, str]]]:
    """Return the separator, from Excel's first line (`sep=;`), else the one with most known columns in the head; and the lines."""
    first = lines[0][1].strip('\ufeff "') if lines else ""
    if first.lower().startswith("sep="):
        # Excel takes any character, also a tab.
        return (first[4] if first[4:5] and not first[4].isalnum() else ","), lines[1:]
    if not lines:
        return ",", lines

    def known_columns(separator: str) -> int:
        return sum(is_known(cell) for cell in lines[0][1].split(separator))

    return max(SEPARATORS, key=known_columns), lines


def _columns(head: tuple[int, str], separator: str) -> tuple[list[str | None], list[RosterProblem], bool]:
    """Return the known name of each column or None, their problems, and whether these make the file unreadable."""
    number, line = head
    cells = _cells(line, separator)
    if cells is None:
        return [], [RosterProblem(number, "", "The columns’ names cannot be read: a quotation mark is not closed.")], True
    columns = [_column(cell) for cell in cells]
    problems, is_fatal = [], False
    for column in COLUMNS:
        if columns.count(column) > 1:
            problems.append(RosterProblem(number, column, f"There are {columns.count(column)} columns of this name. Keep one."))
            is_fatal = True
    for cell, column_name in zip(cells, columns, strict=True):
        if column_name is None and read_cell(cell):
            known = ", ".join(COLUMNS)
            problems.append(
                RosterProblem(number, _short(cell), f"There is no such column, and what it holds is ignored. There are {known}.")
            )
    if "email" not in columns:
        problems.append(
            RosterProblem(number, "email", f"This column is missing. The first line names the columns: {', '.join(COLUMNS)}.")
        )
        is_fatal = True
    return columns, problems, is_fatal


def _column(cell: str) -> str | None:
    letters = "".join(letter for letter in read_cell(cell.strip().strip('"')).casefold() if letter.isalnum())
    return _NAMES.get(letters)


def _cells(line: str, separator: str) -> list[str] | None:
    """Return a line's cells, or None where its quotation marks are invalid."""
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return None


def _holds_something(line: str, separator: str) -> bool:
    cells = _cells(line, separator)
    return cells is None or any(read_cell(cell) for cell in cells)


def _days(lines: list[tuple[int, str]], columns: list[str | None], separator: str) -> list[str]:
    """Return the cells of the column `ends_on`, as they are written."""
    if "ends_on" not in columns:
        return []
    index = columns.index("ends_on")
    rows = (_cells(line, separator) or [] for _, line in lines)
    return [read_cell(cells[index]) for cells in rows if len(cells) > index]


def _note_on_days(lines: list[tuple[int, str]], columns: list[str | None], separator: str, days: Days) -> str:
    unclear = next((text for text in _days(lines, columns, separator) if days.order and days.needs_order(text)), "")
    if not unclear:
        return ""
    day = days.parse(unclear)
    return f"Days were read as {days.order}, since {days.proof} can be nothing else: {unclear} is {day:%-d %B %Y}."


def _row(number: int, line: str, columns: list[str | None], separator: str, days: Days) -> Row:
    cells = _cells(line, separator)
    if cells is None:
        advice = "A quotation mark is missing or misplaced, the line is too long, or a cell holds a line break. Correct the line."
        return Row(number, email=_short(line.split(separator)[0]), problems=(RosterProblem(number, "", advice),))
    values = {column: read_cell(cell) for column, cell in zip(columns, cells, strict=False) if column}
    problems = list(_surplus_cells(number, columns, cells))
    row = _Cells(number, values, problems, days)
    return Row(
        line=number,
        email=row.email(),
        name=row.name(),
        group=row.group(),
        access=row.choice("access", {value: value for value in Access.values}),
        manager={"yes": True, "no": False}.get(row.choice("manager", dict.fromkeys(_YES, "yes") | dict.fromkeys(_NO, "no"))),
        ends_on=row.day(),
        never_ends=values.get("ends_on", "").casefold() == NEVER,
        action=row.choice("action", {ADD: ADD, REMOVE: REMOVE}) or ADD,
        problems=tuple(problems),
    )


def _surplus_cells(number: int, columns: list[str | None], cells: list[str]) -> Iterator[RosterProblem]:
    if any(read_cell(cell) for cell in cells[len(columns) :]):
        text = (
            f"The row has {len(cells)} cells, and there are {len(columns)} columns. Put a value with the separator in it in quotes."
        )
        yield RosterProblem(number, "", text)


@dataclass
class _Cells:
    """Cells of one row, read column by column; complaints are added to `problems`."""

    line: int
    values: dict[str, str]
    problems: list[RosterProblem]
    days: Days

    def email(self) -> str:
        address = self.values.get("email", "").removeprefix("mailto:").lower()
        if not address:
            self._complain("email", "The address is missing.")
        else:
            self._check("email", validate_email, address)
        return address if len(address) <= MAX_CELL_CHARACTERS * 3 else _short(address)

    def name(self) -> str:
        name = tidy_name(self.values.get("name", ""))
        if len(name) > MAX_CELL_CHARACTERS:
            self._complain("name", f"A name has at most {MAX_CELL_CHARACTERS} characters.")
        else:
            self._check("name", validate_person_name, name)
        return name[:MAX_CELL_CHARACTERS]

    def group(self) -> str:
        group = " ".join(self.values.get("group", "").split())
        if len(group) > MAX_CELL_CHARACTERS or not group.isprintable():
            self._complain("group", "This is no group’s slug or name.")
            return _short(group)
        return group

    def choice(self, column: str, meanings: dict[str, str]) -> str:
        text = self.values.get(column, "")
        if text and text.casefold() not in meanings:
            wanted = " or ".join(dict.fromkeys(meanings.values()))
            self._complain(column, f"{_short(text)!r} is not one of {wanted}.")
        return meanings.get(text.casefold(), "")

    def day(self) -> date | None:
        text = self.values.get("ends_on", "")
        if not text or text.casefold() == NEVER:
            return None
        advice = "Write a day as 2026-12-31, or “never”; in Excel, format the column as text first."
        try:
            day = self.days.parse(text)
        except ValueError:
            self._complain("ends_on", f"{_short(text)!r} is not a day. {advice}")
            return None
        if day is None:
            self._complain("ends_on", f"{_short(text)!r} can be two days, and no other day of the file tells which. {advice}")
        return day

    def _check(self, column: str, validate: Callable[[str], None], value: str) -> None:
        try:
            validate(value)
        except ValidationError as error:
            self._complain(column, " ".join(error.messages))

    def _complain(self, column: str, text: str) -> None:
        self.problems.append(RosterProblem(self.line, column, text[:MAX_COMPLAINT_CHARACTERS]))


def _short(text: str) -> str:
    """Return the start of a bad cell, with invisible characters made visible."""
    shown = text.strip()
    return visible(shown) if len(shown) <= 60 else f"{visible(shown[:59])}…"

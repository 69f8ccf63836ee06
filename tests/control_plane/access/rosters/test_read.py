"""Reading a roster's bytes: every quirk is read or told by line and column, and nothing raises."""

import csv
import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.access.rosters.services.encoding import MAX_BYTES
from control_plane.access.rosters.services.read import MAX_ROWS, Reading, Row, read_roster, read_roster_text
from control_plane.base.csv_cells import read_cell, write_cell

HEAD = "email,name,group,access,manager,ends_on,action"


def rows(content: str | bytes) -> list[Row]:
    reading = read_roster(content.encode() if isinstance(content, str) else content)
    assert reading.problems == (), reading.problems
    assert not any(row.problems for row in reading.rows), reading.rows
    return list(reading.rows)


def test_it_works() -> None:
    [ada, grace] = rows(f"{HEAD}\nada@example.org,Ada,alpha-lab,keys,yes,2026-12-31,add\ngrace@example.org,,,,,,\n")
    assert ada == Row(2, "ada@example.org", "Ada", "alpha-lab", "keys", True, date(2026, 12, 31), False, "add")
    assert grace == Row(3, "grace@example.org")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfemail,name\nada@example.org,Zo\xc3\xab\n",
        b"email;name\r\nada@example.org;Zo\xc3\xab\r\n",
        b"email\tname\nada@example.org\tZo\xc3\xab",
        b"email,name\rada@example.org,Zo\xc3\xab\r",
        b"sep=;\r\nE-Mail;Name\r\nada@example.org;Zo\xc3\xab\r\n",
        b'"sep=,"\n"E-mail address","NAME"\n"ADA@example.org","Zo\xc3\xab"\n',
        b"\n\n,,\nemail,name,,\n\nada@example.org, Zo\xc3\xab ,,\n;;\n , ,\n\n",
        b"\xef\xbb\xbfsep=;\nname;email\nZo\xc3\xab;mailto:ada@example.org\n",
        b"sep=\t\r\nname\temail\r\nZo\xc3\xab\tada@example.org\r\n",
        b"sep=|\nname|email\nZo\xc3\xab|ada@example.org\n",
        # Windows-1252, as Excel's plain CSV has it.
        b"sep=;\r\nemail;name\r\nada@example.org;Zo\xeb\r\n",
    ],
)
def test_whatever_wrote_it(content: bytes) -> None:
    [row] = rows(content)
    assert (row.email, row.name) == ("ada@example.org", "Zoë")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\n\n", "empty"),
        (f"{HEAD}\nada@example.org".encode("utf-16"), "UTF-16"),
        ("email\nada@example.org".encode("utf-16-le"), "UTF-16"),
        ("email\nada@example.org".encode("utf-32"), "UTF-32"),
        # As a Mac of before wrote it, Central Europe, Cyrillic, and a cut letter of UTF-8.
        ("email,name\nx@example.org,a\nada@example.org,José".encode("mac-roman"), "Line 3 holds the byte 0x8E"),
        ("email,name\nada@example.org,Łukasz Wałęsa".encode("cp1250"), "make no sense"),
        ("email,name\nada@example.org,Сергей".encode("cp1251"), "make no sense"),
        ("email,name\nada@example.org,Zoë and Zo".encode() + b"\xc3", "make no sense"),
        (b"email,name\nada@example.org,\x81\n", "make no sense"),
        (b"PK\x03\x04whatever", "workbook"),
        (b"\xd0\xcf\x11\xe0whatever", "workbook"),
        (b"%PDF-1.7", "PDF"),
        (b"email\nada\x00@example.org\n", "zero bytes"),
        (b"name,group\nAda,alpha-lab\n", "email: This column is missing"),
        (b"ada@example.org,Ada\n", "email: This column is missing"),
        (b"email,E-Mail\na@example.org,b@example.org\n", "2 columns of this name"),
        (b'email,"name\nada@example.org,Ada\n', "quotation mark is not closed"),
        (b"x" * (MAX_BYTES + 1), "Split it"),
        (b"email\n" + b"a@example.org\n" * (MAX_ROWS + 1), "Split it"),
    ],
)
def test_what_cannot_be_read_at_all_is_told(content: bytes, says: str) -> None:
    reading = read_roster(content)
    assert reading.rows == ()
    assert says in " ".join(map(str, reading.problems))


@pytest.mark.parametrize(
    ("line", "column", "says"),
    [
        (",Ada,,,,,", "email", "missing"),
        ("ada,,,,,,", "email", "is not an e-mail address"),
        ("аda@example.org,,,,,,", "email", "CYRILLIC"),
        (f"{'a' * 300}@example.org,,,,,,", "email", "at most"),
        ("ada@example.org,Ada\u202eevil,,,,,", "name", "cannot be seen"),
        (f"ada@example.org,{'A' * 121},,,,,", "name", "at most 120"),
        (f"ada@example.org,,{'g' * 121},,,,", "group", "no group"),
        ("ada@example.org,,alpha\x07,,,,", "group", "no group"),
        ("ada@example.org,,alpha-lab,admin,,,", "access", "'admin' is not one of federated or keys"),
        ("ada@example.org,,alpha-lab,,perhaps,,", "manager", "'perhaps' is not one of yes or no"),
        ("ada@example.org,,alpha-lab,,,03/04/2026,", "ends_on", "can be two days"),
        ("ada@example.org,,alpha-lab,,,31/12/26,", "ends_on", "2026-12-31"),
        ("ada@example.org,,alpha-lab,,,31.13.2026,", "ends_on", "2026-12-31"),
        ("ada@example.org,,alpha-lab,,,31/31/2026,", "ends_on", "2026-12-31"),
        ("ada@example.org,,alpha-lab,,,31.12/2026,", "ends_on", "2026-12-31"),
        ("ada@example.org,,alpha-lab,,,46387,", "ends_on", "2026-12-31"),
        ("ada@example.org,,alpha-lab,,,20261231,", "ends_on", "2026-12-31"),
        ("ada@example.org,,alpha-lab,,,2026-02-30,", "ends_on", "2026-12-31"),
        ("ada@example.org,,alpha-lab,,,2026-W01-1,", "ends_on", "2026-12-31"),
        ("ada@example.org,,alpha-lab,,,,destroy", "action", "add or remove"),
        ('ada@example.org,"Ada,,,,,', "", "quotation mark"),
        ('ada@example.org,"A"da,,,,,', "", "quotation mark"),
        ("ada@example.org,,,,,,,surplus", "", "8 cells"),
    ],
)
def test_a_bad_cell_is_told_by_line_and_column_and_spoils_its_row_alone(line: str, column: str, says: str) -> None:
    reading = read_roster_text(f"{HEAD}\nfirst@example.org,,,,,,\n{line}\nlast@example.org,,,,,,\n")
    first, bad, last = reading.rows
    assert (first.problems, last.problems, last.line) == ((), (), 4)
    [problem] = bad.problems
    assert (problem.line, problem.column) == (3, column)
    assert says in problem.text


@pytest.mark.parametrize("name", ["Zoë", "José Núñez", "O’Neill", "Šárka Žižková", "“Ada” – Œuvre", "Müller-Lüdenscheidt", "ÉMILE"])
def test_plain_csv_of_excel_is_read_and_shown_as_it_was_understood(name: str) -> None:
    reading = read_roster(f"email;name\r\nx@example.org;Plain\r\nada@example.org;{name}\r\n".encode("cp1252"))
    assert [row.name for row in reading.rows] == ["Plain", name]
    assert reading.problems == ()
    (note,) = reading.notes
    assert "read as Windows-1252" in note
    assert name.split()[0] in note
    # What is UTF-8 is a matter of course.
    assert read_roster(f"email\nada@example.org\n{name}".encode()).notes == ()


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (["2026-12-31", "2026/4/3"], ["2026-12-31", "2026-04-03"]),
        (["31.12.2026", "3.4.2026"], ["2026-12-31", "2026-04-03"]),
        (["31/12/2026", "03/04/2026"], ["2026-12-31", "2026-04-03"]),
        (["03/04/2026", "12/31/2026"], ["2026-03-04", "2026-12-31"]),
        (["31-12-2026", "5-5-2026"], ["2026-12-31", "2026-05-05"]),
    ],
)
def test_days_are_read_as_the_file_writes_them(written: list[str], read_as: list[str]) -> None:
    found = rows("email,group,ends_on\n" + "".join(f"p{number}@example.org,x,{day}\n" for number, day in enumerate(written)))
    assert [str(row.ends_on) for row in found] == read_as


def test_the_order_of_a_file_s_days_is_shown_with_what_tells_it() -> None:
    reading = read_roster(b"email,group,ends_on\na@example.org,x,03/04/2026\nb@example.org,x,12/31/2026\n")
    assert reading.notes == ("Days were read as month/day/year, since 12/31/2026 can be nothing else: 03/04/2026 is 4 March 2026.",)


def test_days_of_two_orders_in_one_file_leave_what_could_be_either_to_a_person() -> None:
    reading = read_roster(
        b"email,group,ends_on\na@example.org,x,31/12/2026\nb@example.org,x,12/31/2026\nc@example.org,x,03/04/2026\n"
    )
    first, second, third = reading.rows
    assert str(first.ends_on) == str(second.ends_on) == "2026-12-31"
    assert "can be two days, and no other day of the file tells which" in third.problems[0].text


def test_an_unknown_column_is_told_and_the_rest_is_read() -> None:
    reading = read_roster_text("email,ends_no\nada@example.org,2026-12-31\n")
    assert [row.email for row in reading.rows] == ["ada@example.org"]
    assert "ends_no: There is no such column" in str(reading.problems[0])


def test_yes_and_no_in_the_ways_people_write_them() -> None:
    said = ["yes", "TRUE", "1", "No", "false", "0", ""]
    read_as = [row.manager for row in rows("email,manager\n" + "".join(f"a@example.org,{word}\n" for word in said))]
    assert read_as == [True, True, True, False, False, False, None]


def test_never_is_no_date() -> None:
    [row] = rows("email,group,ends_on\na@example.org,x,Never\n")
    assert (row.never_ends, row.ends_on) == (True, None)


def test_the_whole_of_a_large_file_is_read() -> None:
    assert len(rows("email,name\n" + "".join(f"p{number}@example.org,Person {number}\n" for number in range(MAX_ROWS)))) == MAX_ROWS


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "'=1", "''=1", "＝1", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("value", FORMULAS)
def test_a_formula_is_written_as_text_and_read_back(value: str) -> None:
    assert write_cell(value).startswith("'")
    assert read_cell(write_cell(value)) == value


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))).map(read_cell).map(str.strip))
def test_whatever_is_written_is_read_back_and_is_no_formula(value: str) -> None:
    written = write_cell(value)
    assert not written.lstrip().startswith(("=", "+", "-", "@"))
    again = io.StringIO()
    csv.writer(again).writerow([written])
    assert write_cell(read_cell(next(csv.reader([again.getvalue().rstrip("\r\n")]))[0])) == write_cell(read_cell(written))


def is_sound(reading: Reading) -> bool:
    return all(problem.line >= 1 and problem.text for row in reading.rows for problem in row.problems) and all(
        problem.text for problem in reading.problems
    )


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: f"email,name\n{text}".encode("utf-8", "replace")))
def test_no_bytes_raise(content: bytes) -> None:
    assert is_sound(read_roster(content))


CELL = st.text(max_size=30) | st.sampled_from([*FORMULAS, "ada@example.org", "2026-12-31", "yes", "keys", "remove", '"', "a\nb"])


@given(
    st.lists(st.sampled_from(HEAD.split(",")) | CELL, max_size=9),
    st.lists(st.lists(CELL, max_size=9), max_size=8),
    st.sampled_from([",", ";", "\t"]),
    st.booleans(),
)
def test_no_text_raises(head: list[str], body: list[list[str]], separator: str, quoted: bool) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    writer.writerows([head, *body])
    assert is_sound(read_roster(out.getvalue().encode("utf-8", "replace")))

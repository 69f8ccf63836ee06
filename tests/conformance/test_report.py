"""The report: a column for each target, of which a run writes its own alone."""

from pathlib import Path

import pytest

from tests.conformance import running
from tests.conformance.report import Row, Run, read, write
from tests.conformance.step import Steps, lacking, run_all
from tests.conformance.steps import all_steps

LACKS = {"localstack": {"drift detection": "it has none"}}


def run(target: str, *rows: Row, date: str = "2026-11-26") -> Run:
    return Run(target, date, "0123456789", "as ever", list(rows))


def passed(name: str = "a", note: str = "") -> Row:
    return Row(f"First: {name}", "First", f"Step {name}", "passed", 1.25, note)


def line(docs: Path, words: str) -> str:
    [found] = [line for line in (docs / "conformance.md").read_text().splitlines() if line.startswith(f"| {words} |")]
    return found


def test_a_run_writes_its_own_column_and_keeps_those_of_other_targets(tmp_path: Path) -> None:
    write(run("embedded", passed()), LACKS, tmp_path)
    write(
        run("localstack", Row("First: a", "First", "Step a", "not supported by this AWS", note="no drift detection")),
        LACKS,
        tmp_path,
    )
    assert line(tmp_path, "Step a") == "| Step a | passed 1.2 s | not supported by this AWS<br>no drift detection | not run |"
    write(run("embedded", Row("First: a", "First", "Step a", "failed", 2.0, "why"), date="2026-12-01"), LACKS, tmp_path)
    assert (
        line(tmp_path, "Step a")
        == "| Step a | **failed** 2.0 s<br>why | not supported by this AWS<br>no drift detection | not run |"
    )
    assert [(item.target, item.date) for item in read(tmp_path / "conformance.json")] == [
        ("embedded", "2026-12-01"),
        ("localstack", "2026-11-26"),
    ]


def test_the_page_says_when_with_which_code_and_how_many_came_how(tmp_path: Path) -> None:
    rows = (
        passed("a"),
        passed("b"),
        Row("First: c", "First", "Step c", "failed"),
        Row("First: d", "First", "Step d", "not reached"),
    )
    write(run("embedded", *rows), LACKS, tmp_path)
    assert line(tmp_path, "embedded AWS, IAM’s delay on").endswith("| 2026-11-26 | 0123456789 | as ever | 2 | 2 | 0 |")
    assert "LocalStack’s community core: **drift detection**: it has none" in (tmp_path / "conformance.md").read_text()


def test_a_step_that_only_one_target_has_run_says_so_for_the_other(tmp_path: Path) -> None:
    write(run("embedded", passed("a"), passed("b")), LACKS, tmp_path)
    write(run("account", passed("a")), LACKS, tmp_path)
    assert line(tmp_path, "Step b") == "| Step b | passed 1.2 s | not run | no such step then |"


def test_what_aws_says_cannot_break_the_table(tmp_path: Path) -> None:
    write(run("embedded", passed("a", "<Code>x</Code> | two\nlines")), LACKS, tmp_path)
    assert line(tmp_path, "Step a") == "| Step a | passed 1.2 s<br>&lt;Code>x&lt;/Code> \\| two lines | not run | not run |"


class OnLocalStack:
    """As much of a run as `run_all` looks at."""

    class target:  # noqa: N801
        name = "localstack"

    def __init__(self) -> None:
        self.told: list[str] = []

    def log(self, text: str) -> None:
        self.told.append(text)


def test_a_step_that_fails_is_a_row_and_the_others_go_on_unless_it_is_vital() -> None:
    steps = Steps("First")

    def fail(tour: object) -> None:
        raise AssertionError("no such bucket")

    steps.add("a", "Step a", fail)
    steps.add("b", "Step b", lambda tour: "0.2 s")
    steps.add("c", "Step c", fail, vital=True)
    steps.add("d", "Step d", lambda tour: None)
    steps.add("e", "Step e", lambda tour: None, "drift detection")
    rows = run_all(steps.all, OnLocalStack(), lambda row: None)  # type: ignore[arg-type]
    assert [row.outcome for row in rows] == ["failed", "passed", "failed", "not reached", "not supported by this AWS"]
    assert [rows[0].note, rows[1].note, rows[4].note] == ["AssertionError: no such bucket", "0.2 s", "no drift detection"]
    assert Run("localstack", "", "", "", rows).has_failed


def test_only_what_steps_need_can_be_lacking_and_every_lack_has_a_reason() -> None:
    needed = {need for step in all_steps(with_host=True) for need in step.needs} | {running.NEED}
    for target, lacks in lacking().items():
        assert target != "account", "AWS lacks nothing"
        assert set(lacks) <= needed
        assert all(len(reason) > 20 for reason in lacks.values())


def test_every_step_has_an_id_of_its_own() -> None:
    ids = [step.id for step in all_steps(with_host=True)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("text", ["", "[]"])
def test_a_report_of_nothing_holds_no_run(tmp_path: Path, text: str) -> None:
    path = tmp_path / "conformance.json"
    if text:
        path.write_text(text)
    assert read(path) == []

"""The journal: what a run has begun is on the disk before it is asked of AWS, and a second run finds it."""

from pathlib import Path

import pytest

from tests.conformance.journal import Damaged, Entry, Journal

ACCOUNT, REGION = "111122223333", "us-east-1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "journal.jsonl"


def begun(path: Path) -> Journal:
    journal = Journal(path)
    journal.begin(ACCOUNT, REGION, "0a1b")
    journal.add("stack", "Cohort-Storage")
    journal.add("bucket", "cohort-conformance-0a1b-data")
    return journal


def test_another_process_reads_what_was_begun_and_not_removed(path: Path) -> None:
    journal = begun(path)
    journal.add("bucket", "cohort-conformance-0a1b-data")
    journal.removed(Entry("stack", "Cohort-Storage"))
    again = Journal(path)
    assert again.begun() == [Entry("bucket", "cohort-conformance-0a1b-data")]
    assert again.begun("stack") == []
    assert again.header is not None
    assert (again.header.account, again.header.region, again.header.run) == (ACCOUNT, REGION, "0a1b")


def test_a_new_run_does_not_begin_over_one_that_was_not_removed(path: Path) -> None:
    begun(path)
    with pytest.raises(RuntimeError, match="was not removed"):
        Journal(path).begin(ACCOUNT, REGION, "2c3d")


def test_it_is_closed_only_once_all_is_removed(path: Path) -> None:
    journal = begun(path)
    with pytest.raises(RuntimeError, match="2 things that were not removed"):
        journal.close()
    for entry in journal.begun():
        journal.removed(entry)
    journal.close()
    assert not path.exists()
    Journal(path).begin(ACCOUNT, REGION, "2c3d")


def test_a_last_line_that_was_cut_off_names_nothing_and_what_follows_it_is_kept(path: Path) -> None:
    begun(path)
    with path.open("a") as file:
        file.write('{"made": {"kind": "stack", "na')
    again = Journal(path)
    assert len(again.begun()) == 2
    again.add("operator", "cohort-conformance")
    assert Journal(path).begun("operator") == [Entry("operator", "cohort-conformance")]


def test_a_line_in_the_middle_that_cannot_be_read_stops_everything(path: Path) -> None:
    begun(path)
    path.write_text("what is this\n" + path.read_text())
    with pytest.raises(Damaged, match="Line 1"):
        Journal(path)

"""What back ends write is read as far as it can be, and never raises."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.research.files.hidden import is_shown
from control_plane.research.jobs import protocol
from control_plane.research.jobs.protocol import DataSet, Status, parse_certificate

A, B = "lab/inputs/a.csv", "lab/inputs/b.csv"
JOB: Any = SimpleNamespace(prefix="lab/results/job__bucket_17/")


def test_each_line_is_a_data_set_and_the_last_of_one_holds() -> None:
    text = (
        "CERTIFICATE OF COMPLETION\n"
        f"DATANAME: {A} | STATUS: IN PROGRESS | TIME: 10:02 | LAST COMMAND: start\n"
        f"DATANAME: {B} | STATUS: INITIALIZING | TIME: N/A | LAST COMMAND: N/A\r\n"
        f"DATANAME: {A} | STATUS: SUCCESS | TIME: 10:09 | LAST COMMAND: a | b\n"
    )
    read = parse_certificate(text)
    assert read.unreadable == ()
    assert read.by_path() == {
        B: DataSet(B, Status.INITIALIZING, "N/A", "N/A"),
        A: DataSet(A, Status.SUCCESS, "10:09", "a | b"),
    }
    last = read.for_path(A)
    assert last
    assert last.status.has_ended


@pytest.mark.parametrize(
    "line",
    [
        "DATANAME:",
        "DATANAME: x",
        f"DATANAME: {A} | STATUS:",
        f"DATANAME: {A} | STATUS: EXPLODED | TIME: 1 | LAST COMMAND: x",
        "DATANAME:  | STATUS: SUCCESS | TIME: 1 | LAST COMMAND: x",
        "DATANAME: " + "x" * 100_000,
        f"DATANAME: {A} || SUCCESS",
    ],
)
def test_a_line_that_says_nothing_is_told_with_its_number(line: str) -> None:
    read = parse_certificate(f"free text\n{line}\nDATANAME: {B} | STATUS: FAILED | TIME: 2 | LAST COMMAND: y\n")
    assert [problem.line for problem in read.unreadable] == [2]
    assert len(read.unreadable[0].text) <= protocol.MAX_SHOWN_CHARACTERS
    assert [dataset.path for dataset in read.datasets] == [B]


@pytest.mark.parametrize("half", ["DATA", "DATANAME: lab/inp", f"DATANAME: {A} | STATUS: SUC"])
def test_a_line_that_is_being_written_is_not_told(half: str) -> None:
    assert parse_certificate(half) == protocol.Certificate()


def test_what_back_ends_get_wrong_is_read_all_the_same() -> None:
    for text in (
        f"\ufeffDATANAME: {A} | STATUS: success",
        f"  DATANAME: {A} | STATUS: SUCCESS | TIME: 1",
        f"DATANAME: {A}\x00 | STATUS: SUC\x1bCESS |",
    ):
        assert [dataset.status for dataset in parse_certificate(text).datasets] == [Status.SUCCESS]
    (one,) = parse_certificate("DATANAME: a | STATUS: IN_PROGRESS").datasets
    assert one.status == Status.IN_PROGRESS


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    parse_certificate(text)
    parse_certificate(f"DATANAME: {text} | STATUS: {text} | TIME: {text}\n")


PLAIN = st.text(st.characters(categories=("L", "N"), include_characters=" ._-/()"), min_size=1).map(str.strip).filter(bool)


@given(st.dictionaries(PLAIN, st.tuples(st.sampled_from(Status), PLAIN, PLAIN), max_size=20))
def test_what_a_sound_back_end_writes_comes_back_whole(datasets: dict[str, tuple[Status, str, str]]) -> None:
    text = "".join(
        f"DATANAME: {path} | STATUS: {status} | TIME: {time} | LAST COMMAND: {command}\n"
        for path, (status, time, command) in datasets.items()
    )
    read = parse_certificate(text)
    assert {dataset.path: (dataset.status, dataset.time, dataset.last_command) for dataset in read.datasets} == datasets
    assert read.unreadable == ()


def test_a_hundred_thousand_lines_are_read() -> None:
    text = "".join(f"DATANAME: lab/inputs/{number} | STATUS: SUCCESS | TIME: 1 | LAST COMMAND: x\n" for number in range(100_000))
    assert len(parse_certificate(text).datasets) == 100_000


def test_submit_json_is_what_the_predecessor_s_back_ends_read() -> None:
    assert json.loads(protocol.submission_body([A, B], "lab/configs/c.yaml", 1795500000)) == {
        "dataname": [A, B],
        "configname": "lab/configs/c.yaml",
        "timestamp": "1795500000",
    }
    assert json.loads(protocol.submission_body([A], "c", 1, "m5.large"))["instance_type"] == "m5.large"


def test_keys_are_the_protocol_s() -> None:
    assert protocol.certificate_key(JOB) == "lab/results/job__bucket_17/logs/certificate.txt"
    assert protocol.end_key(JOB) == "lab/results/job__bucket_17/process_results/end.txt"
    assert protocol.log_key(JOB, "lab/inputs/day 1/a.csv") == "lab/results/job__bucket_17/logs/DATASET_NAME:a.csv_STATUS.txt"
    assert protocol.shared_names(["lab/inputs/1/a", "lab/inputs/2/a", "lab/inputs/b"]) == ["a"]


@pytest.mark.parametrize(("key", "shown"), [("x/update.txt", False), ("x/internal_ec2_logs/y", False), ("x/plot.svg", True)])
def test_what_is_the_back_end_s_own_is_not_shown(key: str, shown: bool) -> None:
    assert is_shown(key) is shown

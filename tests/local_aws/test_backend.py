"""The example's back end: what it makes of a submission, told by what then lies in the bucket."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from assets.example_analysis.backend import NotASubmission, Run, parse, pending_submissions
from control_plane.research.jobs.protocol import Status, parse_certificate
from local_aws import backend

BUCKET = "cohort-demo-traces"
JOB = f"demo-lab/results/job__{BUCKET}_1700000000/"
GOOD = "time,a,b\n0,1,3\n1,2,4\n"


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


def put(s3: Any, **files: str) -> None:
    for key, text in files.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())


def submit(s3: Any, *inputs: str, config: str = "pause: 0\n", group: str = "demo-lab", timestamp: str = "1700000000") -> None:
    document = {"dataname": list(inputs), "configname": f"{group}/configs/first.yaml", "timestamp": timestamp}
    put(s3, **{f"{group}/configs/first.yaml": config, f"{group}/submissions/{timestamp}_submit.json": json.dumps(document)})


def text(s3: Any, key: str) -> str:
    return str(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode())


def keys(s3: Any, prefix: str = "") -> list[str]:
    return [content["Key"] for content in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def run(s3: Any) -> None:
    for submission in pending_submissions(s3, BUCKET, set()):
        Run(s3, submission, lambda seconds: None).to_the_end()


def statuses(s3: Any) -> dict[str, Status]:
    return {dataset.path: dataset.status for dataset in parse_certificate(text(s3, f"{JOB}logs/certificate.txt")).datasets}


def test_a_job_leaves_its_results_its_logs_and_its_end(s3: Any) -> None:
    put(s3, **{"demo-lab/inputs/one.csv": GOOD, "demo-lab/inputs/day 2/one.csv": GOOD})
    submit(s3, "demo-lab/inputs/one.csv", "demo-lab/inputs/day 2/one.csv")
    run(s3)
    for folder in ("one", "day 2/one"):
        assert text(s3, f"{JOB}process_results/{folder}/mean.csv").splitlines()[1] == "0,2,1,2"
        assert text(s3, f"{JOB}process_results/{folder}/plot.svg").startswith("<svg")
        assert json.loads(text(s3, f"{JOB}process_results/{folder}/summary.json"))["peak"] == {"time_s": 1, "mean": 3}
    assert set(statuses(s3).values()) == {Status.SUCCESS}
    assert "Computing the mean" in text(s3, f"{JOB}logs/DATASET_NAME:one.csv_STATUS.txt")
    assert f"{JOB}process_results/end.txt" in keys(s3)


def test_a_data_set_that_fails_says_why_and_the_others_go_on(s3: Any) -> None:
    put(s3, **{"demo-lab/inputs/bad.csv": "time,a\n0,x\n", "demo-lab/inputs/good.csv": GOOD, "other-lab/inputs/theirs.csv": GOOD})
    wanted = ["demo-lab/inputs/bad.csv", "demo-lab/inputs/gone.csv", "other-lab/inputs/theirs.csv", "demo-lab/inputs/good.csv"]
    submit(s3, *wanted, "demo-lab/../other-lab/inputs/theirs.csv")
    run(s3)
    assert list(statuses(s3).values()) == [Status.FAILED] * 3 + [Status.SUCCESS, Status.FAILED]
    certificate = text(s3, f"{JOB}logs/certificate.txt")
    assert "Line 2, a: 'x' is no number" in certificate
    assert "demo-lab/inputs/gone.csv is not there" in certificate
    assert "other-lab/inputs/theirs.csv is not in demo-lab/inputs/" in certificate
    assert not [key for key in keys(s3) if key.startswith("other-lab/") and "inputs" not in key]


@pytest.mark.parametrize(
    "config", ["a: [", "- a\n", "baseline: soon\n", "plot: 3\n", "a: 2024-13-45\n", "a: !!bool abc\n", "a: " + "[" * 3000]
)
def test_a_configuration_that_cannot_be_used_ends_the_job(s3: Any, config: str) -> None:
    put(s3, **{"demo-lab/inputs/one.csv": GOOD})
    submit(s3, "demo-lab/inputs/one.csv", config=config)
    run(s3)
    assert set(statuses(s3).values()) == {Status.FAILED}
    assert "The configuration cannot be used" in text(s3, f"{JOB}logs/DATASET_NAME:one.csv_STATUS.txt")
    assert f"{JOB}process_results/end.txt" in keys(s3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"dataname": [], "configname": "c", "timestamp": "1"}',
        b'{"dataname": [1], "configname": "c", "timestamp": "1"}',
        b'{"dataname": "a", "configname": "c", "timestamp": "../../other"}',
        b'{"dataname": "a", "configname": "c", "timestamp": "' + b"9" * 5000 + b'"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_submission_is_named_and_passed_by(s3: Any, body: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotASubmission):
        parse(BUCKET, "demo-lab/submissions/x_submit.json", body)
    s3.put_object(Bucket=BUCKET, Key="demo-lab/submissions/x_submit.json", Body=body)
    done: set[str] = set()
    assert pending_submissions(s3, BUCKET, done) == []
    assert done == {"demo-lab/submissions/x_submit.json"}
    assert "demo-lab/submissions/x_submit.json is no submission" in capsys.readouterr().out


def test_what_has_ended_is_not_run_again_and_the_oldest_comes_first(s3: Any) -> None:
    for timestamp in ("1700000002", "1700000000", "1700000001"):
        submit(s3, "demo-lab/inputs/one.csv", timestamp=timestamp)
    put(s3, **{f"demo-lab/results/job__{BUCKET}_1700000001/process_results/end.txt": "", "demo-lab/submissions/notes.txt": "x"})
    assert [submission.timestamp for submission in pending_submissions(s3, BUCKET, set())] == ["1700000000", "1700000002"]


def test_stopped_half_way_it_does_the_whole_job_after_a_new_start(s3: Any) -> None:
    put(s3, **{"demo-lab/inputs/one.csv": GOOD})
    submit(s3, "demo-lab/inputs/one.csv", config="pause: 10\n")
    stop = threading.Event()
    serving = threading.Thread(target=backend.serve, args=(s3, BUCKET, stop, 0.01))
    serving.start()
    log = f"{JOB}logs/DATASET_NAME:one.csv_STATUS.txt"
    patience = threading.Event()
    for _ in range(1000):
        if log in keys(s3):
            break
        patience.wait(0.01)
    stop.set()
    serving.join(5)
    assert not serving.is_alive()
    assert statuses(s3) == {"demo-lab/inputs/one.csv": Status.IN_PROGRESS}
    assert f"{JOB}process_results/end.txt" not in keys(s3)
    put(s3, **{"demo-lab/configs/first.yaml": "pause: 0\n"})
    run(s3)
    assert statuses(s3) == {"demo-lab/inputs/one.csv": Status.SUCCESS}
    assert f"{JOB}process_results/end.txt" in keys(s3)


def test_a_job_that_breaks_the_program_keeps_no_other_waiting(
    s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(s3, **{"demo-lab/inputs/one.csv": GOOD})
    submit(s3, "demo-lab/inputs/one.csv", group="aaa-lab", timestamp="1699999999")
    submit(s3, "demo-lab/inputs/one.csv")
    real, stop = Run.to_the_end, threading.Event()

    def to_the_end(self: Run) -> None:
        if self.submission.group == "aaa-lab":
            raise ZeroDivisionError
        real(self)
        stop.set()

    monkeypatch.setattr(Run, "to_the_end", to_the_end)
    backend.serve(s3, BUCKET, stop, 0.01)
    assert statuses(s3) == {"demo-lab/inputs/one.csv": Status.SUCCESS}
    assert "aaa-lab/results" in capsys.readouterr().err


def test_while_s3_does_not_answer_it_waits_and_goes_on(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, **{"demo-lab/inputs/one.csv": GOOD})
    submit(s3, "demo-lab/inputs/one.csv")
    monkeypatch.setattr(backend, "REST_SECONDS", 0.01)
    real, stop, answers = s3.put_object, threading.Event(), iter(["503"])

    def put_object(**asked: Any) -> Any:
        if code := next(answers, ""):
            raise ClientError({"Error": {"Code": code, "Message": "slow down"}}, "PutObject")
        if asked["Key"].endswith("end.txt"):
            stop.set()
        return real(**asked)

    monkeypatch.setattr(s3, "put_object", put_object)
    backend.serve(s3, BUCKET, stop, 0.01)
    assert statuses(s3) == {"demo-lab/inputs/one.csv": Status.SUCCESS}

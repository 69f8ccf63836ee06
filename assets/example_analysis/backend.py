"""The example's back end, as it would run anywhere: it reads a submission from S3, computes, and writes what Cohort shows.

What a back end and Cohort say to each other is in docs/jobs.md. Everything here goes through an S3 client and nothing else.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from assets.example_analysis import mean_trace
from assets.example_analysis.mean_trace import NoTraces, Settings
from assets.example_analysis.plot import svg

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WAITING, RUNNING, DONE, FAILED = "INITIALIZING", "IN PROGRESS", "SUCCESS", "FAILED"
MAX_BYTES = 64_000_000
MAX_TIMESTAMP_DIGITS = 15
# What YAML's reader raises for what only looks like YAML: a date that does not exist, a tag without a value, great depth.
NO_YAML = (YAMLError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
Pause = Callable[[float], None]


class NotASubmission(ValueError):
    """The object is no `submit.json` that can be run."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A group's submission of a job. `prefix` is the beginning of the keys of everything written for it."""

    group: str
    bucket: str
    timestamp: str
    inputs: tuple[str, ...]
    config_key: str
    key: str

    @property
    def prefix(self) -> str:
        """Folder of the job, as a key prefix."""
        return f"{self.group}/results/job__{self.bucket}_{self.timestamp}/"

    @property
    def end_key(self) -> str:
        """Key of the object that exists once the job has ended."""
        return f"{self.prefix}process_results/end.txt"


def parse(bucket: str, key: str, body: bytes) -> Submission:
    """Read a submission: the group is the first folder of its key. Raises NotASubmission."""
    try:
        given = json.loads(body)
        names = given["dataname"]
        inputs = [names] if isinstance(names, str) else list(names)
        timestamp, config_key = str(given["timestamp"]), str(given["configname"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotASubmission(f"{key} is no submission: {error!r}.") from error
    if not (
        timestamp.isascii()
        and timestamp.isdigit()
        and len(timestamp) <= MAX_TIMESTAMP_DIGITS
        and inputs
        and all(isinstance(name, str) for name in inputs)
    ):
        raise NotASubmission(f"{key} is no submission: it needs a timestamp in digits, and data sets.")
    return Submission(key.partition("/")[0], bucket, timestamp, tuple(inputs), config_key, key)


@dataclass(slots=True)
class Run:
    """The run of one submission. If it stops half-way, running it again from the start completes it."""

    s3: "S3Client"
    submission: Submission
    pause: Pause
    _said: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    _logs: dict[str, str] = field(default_factory=dict)

    def to_the_end(self) -> None:
        """Work through the data sets, one after another. One that fails does not keep the others from being done."""
        for key in self.submission.inputs:
            self._said[key] = (WAITING, _now(), "")
        self._certify()
        settings: Settings | None = None
        reason = ""
        try:
            settings = Settings.of(self._configuration())
        except (NoTraces, _Unreadable) as error:
            reason = f"The configuration cannot be used. {error}"
        for key in self.submission.inputs:
            try:
                if settings is None:
                    raise NoTraces(reason)
                self._one(key, settings)
            except (NoTraces, _Unreadable) as error:
                self._log(key, f"Stopped: {error}")
                self._say(key, FAILED, str(error))
            else:
                self._say(key, DONE, "finished")
        self._put(self.submission.end_key, f"Ended {_now()}\n")

    def _one(self, key: str, settings: Settings) -> None:
        steps = self._steps(key, settings)
        for step in steps:
            self._log(key, step)
            self._say(key, RUNNING, step)
            self.pause(settings.pause)

    def _steps(self, key: str, settings: Settings) -> Iterator[str]:
        """Do the work, and yield each step's description before it."""
        yield f"Reading {key}"
        traces = mean_trace.read(self._text(key, "inputs").splitlines(), settings.leave_out)
        yield f"{len(traces.names)} traces of {len(traces.times)} samples, {traces.times[0]:g} s to {traces.times[-1]:g} s"
        if settings.smoothing > 1:
            yield f"Smoothing over {settings.smoothing} samples"
            traces = mean_trace.smoothed(traces, settings.smoothing)
        if settings.baseline > 0:
            yield f"Taking away the mean of the first {settings.baseline:g} s"
            traces = mean_trace.without_baseline(traces, settings.baseline)
        yield "Computing the mean"
        result = mean_trace.mean(traces)
        when, height = result.peak
        yield f"The mean is highest at {when:g} s: {height:.4g}. Writing mean.csv, plot.svg and summary.json"
        folder = self._folder(key)
        summary = {
            "data set": key,
            "traces": len(traces.names),
            "samples": len(traces.times),
            "peak": {"time_s": when, "mean": height},
        }
        self._put(f"{folder}mean.csv", mean_trace.as_csv(result), "text/csv")
        self._put(f"{folder}plot.svg", svg(traces, result, settings), "image/svg+xml")
        self._put(f"{folder}summary.json", json.dumps(summary, indent=2) + "\n", "application/json")

    def _folder(self, key: str) -> str:
        """Return the folder of a data set's results: by its path below `inputs/`, so that equal names do not collide."""
        path = key.partition("/")[2].removeprefix("inputs/")
        return f"{self.submission.prefix}process_results/{path.removesuffix('.csv')}/"

    def _configuration(self) -> Mapping[str, Any]:
        text = self._text(self.submission.config_key, "configs")
        try:
            given = YAML(typ="safe", pure=True).load(text)
        except NO_YAML as error:
            raise NoTraces(f"It is no YAML: {error}") from error
        if not isinstance(given or {}, Mapping):
            raise NoTraces("It has to name its settings.")
        return given or {}

    def _text(self, key: str, folder: str) -> str:
        """Return the text of a file in this folder of the group's.

        Raises _Unreadable for any other: the back end could read more than who submitted.
        """
        if not key.startswith(f"{self.submission.group}/{folder}/") or {".", "..", ""} & set(key.split("/")):
            raise _Unreadable(f"{key} is not in {self.submission.group}/{folder}/.")
        try:
            answer = self.s3.get_object(Bucket=self.submission.bucket, Key=key)
            if answer["ContentLength"] > MAX_BYTES:
                raise _Unreadable(f"{key} is larger than the {MAX_BYTES // 1_000_000} MB that this example reads.")
            return answer["Body"].read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _Unreadable(f"{key} is no text (UTF-8).") from error
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404", "AccessDenied"):
                raise _Unreadable(f"{key} is not there, or this back end may not read it.") from error
            raise

    def _say(self, key: str, status: str, command: str) -> None:
        self._said[key] = (status, _now(), command)
        self._certify()

    def _certify(self) -> None:
        lines = [f"{self.submission.prefix.rstrip('/').rpartition('/')[2]}: {len(self._said)} data sets"]
        for key, (status, time, command) in self._said.items():
            lines.append(f"DATANAME: {key} | STATUS: {status} | TIME: {time} | LAST COMMAND: {' '.join(command.split())}")
        self._put(f"{self.submission.prefix}logs/certificate.txt", "\n".join(lines) + "\n")

    def _log(self, key: str, line: str) -> None:
        name = key.rstrip("/").rpartition("/")[2]
        # S3 appends nothing: the log is written again, longer.
        self._logs[name] = f"{self._logs.get(name, '')}{_now()}  {line}\n"
        self._put(f"{self.submission.prefix}logs/DATASET_NAME:{name}_STATUS.txt", self._logs[name])

    def _put(self, key: str, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        self.s3.put_object(Bucket=self.submission.bucket, Key=key, Body=text.encode(), ContentType=kind)


class _Unreadable(ValueError):
    """A file that is missing, or not the group's, or no text."""


def pending_submissions(s3: "S3Client", bucket: str, done: set[str]) -> list[Submission]:
    """Return the submissions that have not ended, the oldest first. `done` holds the keys that need not be looked at again."""
    submissions = []
    for group in _below(s3, bucket, "", folders=True):
        for key in _below(s3, bucket, f"{group}submissions/"):
            if key in done or not key.endswith("submit.json"):
                continue
            try:
                submission = parse(bucket, key, s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            except NotASubmission as error:
                done.add(key)
                print(error, flush=True)
                continue
            if _exists(s3, bucket, submission.end_key):
                done.add(key)
            else:
                submissions.append(submission)
    return sorted(submissions, key=lambda submission: (int(submission.timestamp), submission.key))


def _below(s3: "S3Client", bucket: str, prefix: str, *, folders: bool = False) -> Sequence[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    if folders:
        return [folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", [])]
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def _exists(s3: "S3Client", bucket: str, key: str) -> bool:
    # By a list, because S3 may say of what is not there that it is forbidden.
    return key in _below(s3, bucket, key)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Protocol between Cohort and back ends in S3: keys, `submit.json` and the certificate. Pure functions.

A certificate is free text with one line for each data set:
`DATANAME: <path> | STATUS: <status> | TIME: <text> | LAST COMMAND: <text>`. Whatever a back end writes is read as far as it
can be, and never raises.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from control_plane.research.jobs.models import Job

INPUTS, SUBMISSIONS = "inputs/", "submissions/"
# What a back end is triggered by, whatever stands before it.
SUBMISSION_ENDING = "submit.json"
MAX_SHOWN_CHARACTERS = 500
_BEGINNING, _STATUS, _TIME, _LAST = "DATANAME:", "| STATUS:", "TIME:", "| LAST COMMAND:"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_LINE_END = re.compile(r"\r\n|\n|\r")


class Status(StrEnum):
    """Status of a data set, in the back end's words."""

    INITIALIZING = "INITIALIZING"
    IN_PROGRESS = "IN PROGRESS"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"

    @property
    def has_ended(self) -> bool:
        """True if nothing more happens to the data set."""
        return self in (Status.SUCCESS, Status.FAILED)


@dataclass(frozen=True, slots=True)
class DataSet:
    """Line of the certificate about one data set."""

    path: str
    status: Status
    time: str = ""
    last_command: str = ""


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """Line that begins like a data set's but cannot be parsed. `line` counts from 1."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """Parsed certificate. If it names a data set twice, the last line holds."""

    datasets: tuple[DataSet, ...] = ()
    unreadable: tuple[UnreadableLine, ...] = ()

    def for_path(self, path: str) -> DataSet | None:
        """Return the entry of this data set, or None."""
        return next((dataset for dataset in self.datasets if dataset.path == path), None)

    def by_path(self) -> dict[str, DataSet]:
        """Return all entries, by path."""
        return {dataset.path: dataset for dataset in self.datasets}


def parse_certificate(text: str) -> Certificate:
    """Parse a certificate as far as possible. A last line without an end is being written, unless it is complete."""
    datasets: dict[str, DataSet] = {}
    unreadable: list[UnreadableLine] = []
    lines = _LINE_END.split(text.removeprefix("\ufeff"))
    for number, raw in enumerate(lines, start=1):
        line = clean(raw).strip()
        if not line.startswith(_BEGINNING):
            continue
        if dataset := _data_set(line):
            # Taken out first, so that the order is that of the last lines.
            datasets.pop(dataset.path, None)
            datasets[dataset.path] = dataset
        elif number < len(lines):
            unreadable.append(UnreadableLine(number, _cut(line)))
    return Certificate(tuple(datasets.values()), tuple(unreadable))


def clean(text: str) -> str:
    """Return a back end's text without control characters; tabs and line ends stay."""
    return _CONTROL.sub("", text)


def submission_body(inputs: Sequence[str], config_key: str, timestamp: int, instance_type: str = "") -> bytes:
    """Return the content of `submit.json`."""
    document: dict[str, object] = {"dataname": list(inputs), "configname": config_key, "timestamp": str(timestamp)}
    if instance_type:
        document["instance_type"] = instance_type
    return json.dumps(document, ensure_ascii=False).encode()


def certificate_key(job: "Job") -> str:
    """Return the key of the file in which the back end reports the status of its data sets."""
    return f"{job.prefix}logs/certificate.txt"


def end_key(job: "Job") -> str:
    """Return the key of the object that exists once the job has ended."""
    return f"{results_prefix(job)}end.txt"


def results_prefix(job: "Job") -> str:
    """Return the prefix of the keys of the results."""
    return f"{job.prefix}process_results/"


def log_key(job: "Job", input_key: str) -> str:
    """Return the key of a data set's log, named by the file's name alone, as back ends do."""
    return f"{job.prefix}logs/DATASET_NAME:{file_name(input_key)}_STATUS.txt"


def file_name(key: str) -> str:
    """Return the last part of a key."""
    return key.rstrip("/").rsplit("/", 1)[-1]


def shared_names(inputs: Sequence[str]) -> list[str]:
    """Return file names that several data sets share: their logs go into one file."""
    counted = Counter(file_name(key) for key in inputs)
    return sorted(name for name, count in counted.items() if count > 1)


def _data_set(line: str) -> DataSet | None:
    """Parse a line. It is cut at the field names: a path and a command may contain the separators."""
    path, has_status, rest = line.removeprefix(_BEGINNING).partition(_STATUS)
    words, _, rest = rest.partition("|")
    status = " ".join(words.upper().replace("_", " ").split())
    if not (has_status and path.strip() and status in set(Status)):
        return None
    time, _, command = rest.strip().removeprefix(_TIME).partition(_LAST)
    return DataSet(path.strip(), Status(status), _cut(time.strip()), _cut(command.strip()))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[: MAX_SHOWN_CHARACTERS - 1]}…"

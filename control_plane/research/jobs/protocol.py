"""What back ends and Cohort say to each other in S3: keys, `submit.json`, and the certificate. Pure: nothing here asks anybody.

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
    """How far a data set is, in the back end's words."""

    INITIALIZING = "INITIALIZING"
    IN_PROGRESS = "IN PROGRESS"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of the data set."""
        return self in (Status.SUCCESS, Status.FAILED)


@dataclass(frozen=True, slots=True)
class DataSet:
    """What the certificate says of one data set."""

    path: str
    status: Status
    time: str = ""
    last_command: str = ""


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line that begins as a data set's, and says nothing that can be read. `line` counts from 1."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says. Where it names a data set twice, the last line holds."""

    datasets: tuple[DataSet, ...] = ()
    unreadable: tuple[UnreadableLine, ...] = ()

    def for_path(self, path: str) -> DataSet | None:
        """What it says of this data set."""
        return next((dataset for dataset in self.datasets if dataset.path == path), None)

    def by_path(self) -> dict[str, DataSet]:
        """All of it, by data set."""
        return {dataset.path: dataset for dataset in self.datasets}


def parse_certificate(text: str) -> Certificate:
    """Read a certificate as far as it can be read. A last line without an end is one that is being written, unless it is whole."""
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
    """Text of a back end without control characters; tabs and line ends stay."""
    return _CONTROL.sub("", text)


def submission_body(inputs: Sequence[str], config_key: str, timestamp: int, instance_type: str = "") -> bytes:
    """The body of `submit.json`."""
    document: dict[str, object] = {"dataname": list(inputs), "configname": config_key, "timestamp": str(timestamp)}
    if instance_type:
        document["instance_type"] = instance_type
    return json.dumps(document, ensure_ascii=False).encode()


def certificate_key(job: "Job") -> str:
    """Where the back end tells how its data sets are."""
    return f"{job.prefix}logs/certificate.txt"


def end_key(job: "Job") -> str:
    """What is there once the job has ended."""
    return f"{results_prefix(job)}end.txt"


def results_prefix(job: "Job") -> str:
    """What the keys of the results begin with."""
    return f"{job.prefix}process_results/"


def log_key(job: "Job", input_key: str) -> str:
    """Where the back end writes what the program printed about a data set: by the file's name alone, as back ends do."""
    return f"{job.prefix}logs/DATASET_NAME:{file_name(input_key)}_STATUS.txt"


def file_name(key: str) -> str:
    """The last part of a key."""
    return key.rstrip("/").rsplit("/", 1)[-1]


def shared_names(inputs: Sequence[str]) -> list[str]:
    """File names that several data sets have: their logs go into one file."""
    counted = Counter(file_name(key) for key in inputs)
    return sorted(name for name, count in counted.items() if count > 1)


def _data_set(line: str) -> DataSet | None:
    """Cut at the names of the fields: a path and a command may hold what stands between them."""
    path, has_status, rest = line.removeprefix(_BEGINNING).partition(_STATUS)
    words, _, rest = rest.partition("|")
    status = " ".join(words.upper().replace("_", " ").split())
    if not (has_status and path.strip() and status in set(Status)):
        return None
    time, _, command = rest.strip().removeprefix(_TIME).partition(_LAST)
    return DataSet(path.strip(), Status(status), _cut(time.strip()), _cut(command.strip()))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[: MAX_SHOWN_CHARACTERS - 1]}…"

"""Status of a job in S3, kept in its row; also finishes submissions that a page could not."""

import codecs
import logging
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from control_plane.access.groups.announcements import announce_about_group
from control_plane.access.groups.models import Grant, Membership
from control_plane.base.config import config
from control_plane.base.errors import Refused
from control_plane.research.files.hidden import is_shown
from control_plane.research.jobs import protocol
from control_plane.research.jobs.models import Job
from control_plane.research.jobs.protocol import Certificate, Status
from control_plane.research.jobs.submitting import WRITE_TIMEOUT, match_data_sets, write_submission
from control_plane.research.storage.objects import NoAnswer
from control_plane.research.storage.presence import is_missing, status_of
from control_plane.research.storage.sessions import jobs_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A thousand data sets take about 200 kB.
MAX_CERTIFICATE_BYTES = 4 * 1024 * 1024
PIECE_BYTES = 64 * 1024
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

logger = logging.getLogger("cohort.jobs")


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Status of a job as S3 has it. `heard_at` is when its back end last wrote something."""

    state: Job.State
    certificate: Certificate = field(default_factory=Certificate)
    datasets: dict[str, protocol.DataSet | None] = field(default_factory=dict)
    logs: dict[str, int] = field(default_factory=dict)
    heard_at: datetime | None = None
    ended_at: datetime | None = None

    def count(self, *statuses: Status) -> int:
        """Count the job's data sets with one of these statuses."""
        return sum(1 for dataset in self.datasets.values() if dataset is not None and dataset.status in statuses)

    @property
    def unmentioned(self) -> int:
        """Number of data sets that the certificate does not mention."""
        return sum(1 for dataset in self.datasets.values() if dataset is None)


@dataclass(frozen=True, slots=True)
class LogPart:
    """Piece of a log. `offset` is where the next one begins; `was_replaced` if the log is shorter than before."""

    text: str
    offset: int
    size: int
    is_there: bool = True
    was_replaced: bool = False


def update_job(job_id: int) -> None:
    """Update one job from S3, if its group may still reach it. If S3 does not answer, the next sweep tries again."""
    job = Job.objects.open().select_related("group__stack", "analysis", "submitted_by").filter(pk=job_id).first()
    if job is None or not _is_within_reach(job):
        return
    try:
        client = jobs_client(job.group, job.analysis)
        if job.written_at is None and timezone.now() - job.submitted_at > WRITE_TIMEOUT:
            write_submission(client, job)
        save_status(job, read_status(job, client))
    except Refused as error:
        logger.warning("%s: not seen now, tried again later: %s", job.name, error)


def read_status(job: Job, client: "S3Client") -> JobStatus:
    """Read the job's status with at most three requests, or a fourth if S3 does not tell whether the certificate exists.

    Raises NoAnswer: then nothing is known, and nothing is changed.
    """
    bucket, certificate_key = job.analysis.bucket, protocol.certificate_key(job)
    try:
        # By a list: most often the end is not there yet, and S3 may say 403 of that. And first: a certificate that is read
        # after the end was seen is the last one.
        ends = client.list_objects_v2(Bucket=bucket, Prefix=protocol.end_key(job), MaxKeys=1).get("Contents", [])
        listed = client.list_objects_v2(Bucket=bucket, Prefix=f"{job.prefix}logs/")
        logs = {entry["Key"]: entry for entry in listed.get("Contents", [])}
        text, told_at = "", None
        if certificate_key in logs or listed.get("IsTruncated"):
            text, told_at = _read_certificate(client, bucket, certificate_key)
    except (BotoCoreError, ClientError) as error:
        raise NoAnswer(f"S3 did not say how the job is: {error}. Nothing was changed; this page asks again.") from error
    certificate = protocol.parse_certificate(text)
    ended_at = ends[0]["LastModified"] if ends and ends[0]["Key"] == protocol.end_key(job) else None
    heard = [entry["LastModified"] for key, entry in logs.items() if is_shown(key)]
    status = JobStatus(
        Job.State.SUBMITTED,
        certificate,
        match_data_sets(job, certificate),
        {key: entry["Size"] for key, entry in logs.items()},
        # A long list may not reach the certificate.
        max([*heard, *(time for time in (told_at, ended_at) if time)], default=None),
        ended_at,
    )
    return JobStatus(_state(job, status), status.certificate, status.datasets, status.logs, status.heard_at, status.ended_at)


def save_status(job: Job, status: JobStatus) -> None:
    """Save the status in the job's row. Whoever sees the end first announces it, once; a job that has ended stays as it is."""
    fields = {
        "state": status.state,
        "done_count": status.count(Status.SUCCESS),
        "failed_count": status.count(Status.FAILED),
        "looked_at": timezone.now(),
        "heard_at": status.heard_at,
        "ended_at": status.ended_at,
    }
    with transaction.atomic():
        changed = Job.objects.open().filter(pk=job.pk).update(**fields)
        if changed and status.ended_at:
            _notify_submitter(job, status)
    if changed:
        for name, value in fields.items():
            setattr(job, name, value)
    else:
        job.refresh_from_db(fields=list(fields))


def read_log(job: Job, input_key: str, offset: int, client: "S3Client") -> LogPart:
    """Return at most PIECE_BYTES of a data set's log from the offset on; from -1, its last piece. Raises NoAnswer."""
    key = protocol.log_key(job, input_key)
    # The byte before is asked for too, so that there is one to get where nothing is new.
    wanted = f"bytes=-{PIECE_BYTES}" if offset < 0 else f"bytes={max(offset - 1, 0)}-{offset + PIECE_BYTES - 1}"
    try:
        answer = client.get_object(Bucket=job.analysis.bucket, Key=key, Range=wanted)
        content = answer["Body"].read()
    except ClientError as error:
        if status_of(error) == 416:
            return LogPart("", 0, 0, was_replaced=offset > 0)
        if is_missing(client, job.analysis.bucket, key, error):
            return LogPart("", 0, 0, is_there=False)
        raise NoAnswer(f"S3 did not give the log: {error}. It is asked for again.") from error
    except BotoCoreError as error:
        raise NoAnswer(f"S3 did not give the log: {error}. It is asked for again.") from error
    size = _whole_size(answer.get("ContentRange", ""), len(content))
    start = size - len(content) if offset < 0 else offset
    fresh = content[1:] if offset > 0 else content
    text, used = _decode(fresh, is_cut=offset < 0 and start > 0)
    return LogPart(readable(text), start + used, size)


def readable(text: str) -> str:
    """Return a program's output as text: no colours or control characters, progress that rewrites its line on lines of its own."""
    return protocol.clean(_ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def _is_within_reach(job: Job) -> bool:
    granted = Grant.objects.wanted().filter(group=job.group, analysis=job.analysis).exists()
    return granted and job.group.suspended_at is None and job.group.retired_at is None


def _state(job: Job, status: JobStatus) -> Job.State:
    if status.ended_at:
        if status.count(Status.FAILED):
            return Job.State.FAILED
        return Job.State.SUCCEEDED if status.count(Status.SUCCESS) == len(job.inputs) else Job.State.ENDED
    since = max(time for time in (job.submitted_at, job.written_at, status.heard_at) if time)
    if timezone.now() - since > timedelta(hours=config().job_silent_hours):
        return Job.State.SILENT
    return Job.State.RUNNING if status.heard_at else Job.State.SUBMITTED


def _read_certificate(client: "S3Client", bucket: str, key: str) -> tuple[str, datetime | None]:
    """Return the certificate's text, and when it was written."""
    try:
        answer = client.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{MAX_CERTIFICATE_BYTES - 1}")
        return answer["Body"].read().decode(errors="replace"), answer["LastModified"]
    except ClientError as error:
        # Empty, or gone since the list.
        if status_of(error) == 416 or is_missing(client, bucket, key, error):
            return "", None
        raise


def _notify_submitter(job: Job, status: JobStatus) -> None:
    """Notify the person who submitted the job, if they are still in the group."""
    is_member = Membership.objects.wanted().filter(Q(user__is_active=True), group=job.group_id, user=job.submitted_by_id)
    if not is_member.exists():
        return
    succeeded, failed = status.count(Status.SUCCESS), status.count(Status.FAILED)
    left = len(job.inputs) - succeeded - failed
    said = f"{succeeded} of {len(job.inputs)} data sets succeeded, {failed} failed"
    announce_about_group(
        job.group,
        about=f"job {job.pk} ended",
        recipients=[job.submitted_by.email],
        subject=f"{status.state.label.capitalize()}: a job of {job.analysis.name}",
        paragraphs=[
            f"The job that you submitted for {job.group.name} to {job.analysis.name} has ended.",
            f"{said}{f'; of {left} the back end did not say how they went' if left else ''}.",
        ],
        path=job.get_absolute_url(),
    )


def _whole_size(content_range: str, otherwise: int) -> int:
    size = content_range.rpartition("/")[2]
    return int(size) if size.isdigit() else otherwise


def _decode(content: bytes, *, is_cut: bool) -> tuple[str, int]:
    """Return the text and the number of bytes used; a character cut off at the end is left for the next piece."""
    begin = 0
    while is_cut and begin < min(3, len(content)) and content[begin] & 0xC0 == 0x80:
        begin += 1
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text = decoder.decode(content[begin:])
    return text, len(content) - len(decoder.getstate()[0])

"""Submission of jobs: first the row, then one object under `submissions/`, which starts a back end."""

import secrets
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from control_plane.access.groups.errors import NoCredentials, NotGranted
from control_plane.access.groups.models import Group
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.audit.refusals import NotYours
from control_plane.base.errors import Refused
from control_plane.research.catalogue.entries import entry_of
from control_plane.research.jobs import protocol
from control_plane.research.jobs.models import Job
from control_plane.research.jobs.protocol import Certificate, Status
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.objects import NoAnswer, check_keys, has_dot_segment, list_below
from control_plane.research.storage.presence import head, status_of
from control_plane.research.storage.sessions import Purpose, s3_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The predecessor's back ends start a machine for each data set.
MAX_INPUTS = 1000
MAX_FOLDERS = 20
CALLS_AT_ONCE = 8
# Whoever made the row writes the object within this time; after it, the next retry does.
WRITE_TIMEOUT = timedelta(minutes=1)
NOTHING_SUBMITTED = "Nothing was submitted."
TOKEN_BYTES = 24


class NotSubmittable(Refused):
    """Selection that cannot be submitted."""


class Vanished(Refused):
    """Selected objects that do not exist any more. `keys` says which."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        shown = ", ".join(keys[:10]) + (f" and {len(keys) - 10} more" if len(keys) > 10 else "")
        super().__init__(f"Not there any more: {shown}. {NOTHING_SUBMITTED} Choose again, or go on without.")


class NotWritten(NoAnswer):
    """Job whose submission S3 did not take yet: the worker retries. `job` says which."""

    def __init__(self, job: Job, reason: object) -> None:
        self.job = job
        super().__init__(
            f"S3 did not take the submission: {reason}. The job is kept, and is submitted by itself as soon as S3 does."
        )


def new_token() -> str:
    """Return a token for a form, so that a form sent twice makes one job."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def expand_folders(folder: GroupFolder, chosen: Sequence[str]) -> list[str]:
    """Return the selected data sets; a folder (a key that ends in a slash) stands for all files in it.

    Raises PermissionDenied for what does not lie in `inputs/`, NotSubmittable for too many or none, NoAnswer.
    """
    check_keys(folder, chosen, folders=["inputs"])
    folders = [key for key in chosen if key.endswith("/")]
    if len(folders) > MAX_FOLDERS:
        raise NotSubmittable(
            f"{len(folders)} folders are more than the {MAX_FOLDERS} that one job takes. {NOTHING_SUBMITTED} Choose fewer."
        )
    datasets: dict[str, None] = {}
    for key in chosen:
        inside = (stored.key for stored in list_below(folder, key)) if key.endswith("/") else iter([key])
        for path in inside:
            if has_dot_segment(path):
                # A back end that makes a path of the key would take another file.
                raise NotSubmittable(
                    f"{path} cannot be a data set: a part of its path is “.” or “..”, which programs take for another folder. "
                    f"{NOTHING_SUBMITTED} Copy it to a name without such a part, or choose other data sets."
                )
            if not path.endswith("/"):
                datasets.setdefault(path)
            if len(datasets) > MAX_INPUTS:
                raise NotSubmittable(
                    f"More than {MAX_INPUTS:,} data sets are too many for one job. {NOTHING_SUBMITTED} Submit them as several jobs."
                )
    if not datasets:
        raise NotSubmittable(f"No data set was chosen, or the folders are empty. {NOTHING_SUBMITTED} Choose files in inputs/.")
    return list(datasets)


def submit(
    *,
    folder: GroupFolder,
    inputs: Sequence[str],
    config_key: str,
    token: str,
    actor: Actor,
    resubmits: Job | None = None,
    listed: Collection[str] = (),
) -> Job:
    """Submit these data sets with this configuration, once for each token. S3 is asked for each that was not just `listed`.

    Raises Vanished, NotSubmittable, NotGranted (a group that may only read), NoAnswer, NoCredentials or PermissionDenied. The
    row is there before the object: whoever fails in between has it written by the next try, or by the worker.
    """
    if not folder.is_writable:
        raise NotGranted(
            f"{folder.group.name} may only read in {folder.analysis.name}. {NOTHING_SUBMITTED} "
            "Ask an administrator to let it write."
        )
    if known := job_of_token(folder, token):
        return _ensure_written(folder, known)
    check_keys(folder, inputs, folders=["inputs"])
    check_keys(folder, [config_key], folders=["configs"])
    if not inputs or len(inputs) > MAX_INPUTS:
        raise NotSubmittable(f"A job has 1 to {MAX_INPUTS:,} data sets, not {len(inputs):,}. {NOTHING_SUBMITTED}")
    if gone := _missing(folder, [*(key for key in inputs if key not in listed), config_key]):
        raise Vanished(gone)
    job, is_new = _create_job(folder, list(dict.fromkeys(inputs)), config_key, token, actor, resubmits)
    return _ensure_written(folder, job, is_mine=is_new)


def failed_inputs(job: Job, certificate: Certificate) -> list[str]:
    """Return the job's data sets that failed, in its own order."""
    return [key for key, dataset in match_data_sets(job, certificate).items() if dataset and dataset.status == Status.FAILED]


def match_data_sets(job: Job, certificate: Certificate) -> dict[str, protocol.DataSet | None]:
    """Return the certificate's entry for each data set of the job: by path, or by file name if a back end writes only that."""
    by_path = certificate.by_path()
    by_name = {protocol.file_name(path): dataset for path, dataset in by_path.items()}
    shared = set(protocol.shared_names(job.inputs))
    by_key: dict[str, protocol.DataSet | None] = {}
    for key in job.inputs:
        name = protocol.file_name(key)
        by_key[key] = by_path.get(key) or (None if name in shared else by_name.get(name))
    return by_key


def body_of_job(job: Job) -> bytes:
    """Return the job's `submit.json`: the same each time."""
    return protocol.submission_body(job.inputs, job.config_key, job.timestamp, job.instance_type)


def job_of_token(folder: GroupFolder, token: str) -> Job | None:
    """Return the job that this form has become, or None. Raises NotYours if it is somebody else's."""
    known = Job.objects.filter(token=token).select_related("group", "analysis").first()
    if known and (known.group_id, known.analysis_id, known.submitted_by_id) != (
        folder.group.pk,
        folder.analysis.pk,
        folder.membership.user_id,
    ):
        raise NotYours("This form belongs to somebody else’s job.")
    return known


def _create_job(
    folder: GroupFolder, inputs: list[str], config_key: str, token: str, actor: Actor, resubmits: Job | None
) -> tuple[Job, bool]:
    if actor.user is not None and actor.user.pk != folder.membership.user_id:
        raise PermissionDenied(f"Only the member themself may submit. {NOTHING_SUBMITTED}")
    try:
        with transaction.atomic():
            # One after the other, so that no two jobs of the group here have the same second: back ends name jobs by it.
            Group.objects.select_for_update().get(pk=folder.group.pk)
            last = Job.objects.filter(group=folder.group, analysis=folder.analysis).aggregate(last=Max("timestamp"))["last"]
            timestamp = max(int(time.time()), (last or 0) + 1)
            key = f"{folder.prefix}{protocol.SUBMISSIONS}{timestamp}-{secrets.token_hex(4)}-{protocol.SUBMISSION_ENDING}"
            job = Job.objects.create(
                group=folder.group,
                analysis=folder.analysis,
                submitted_by=folder.membership.user,
                timestamp=timestamp,
                token=token,
                submission_key=key,
                inputs=inputs,
                config_key=config_key,
                instance_type=entry_of(folder.analysis).instance_type,
                resubmits=resubmits,
            )
            record(
                actor,
                "job.submit",
                f"{job.name} of {folder.group.slug}",
                key=key,
                datasets=len(inputs),
                first=inputs[:20],
                configuration=config_key,
            )
    except IntegrityError:
        # The same form came a second time, at the same moment.
        if known := job_of_token(folder, token):
            return known, False
        raise
    return job, True


def _ensure_written(folder: GroupFolder, job: Job, *, is_mine: bool = False) -> Job:
    """Write the submission unless it is written, or somebody is writing it."""
    if job.written_at or (not is_mine and timezone.now() - job.submitted_at < WRITE_TIMEOUT):
        return job
    try:
        client = s3_client(folder, Purpose.UPLOAD)
    except NoCredentials as error:
        raise NotWritten(job, error) from error
    write_submission(client, job)
    return job


def write_submission(client: "S3Client", job: Job) -> None:
    """Put the job's `submit.json`, and note the time. Only if none exists: each write would start the back end.

    Raises NotWritten.
    """
    try:
        client.put_object(
            Bucket=job.analysis.bucket,
            Key=job.submission_key,
            Body=body_of_job(job),
            ContentType="application/json",
            IfNoneMatch="*",
        )
    except (BotoCoreError, ClientError, NoCredentials) as error:
        # Somebody else's try came first, or one of ours whose answer was lost.
        if not (isinstance(error, ClientError) and status_of(error) == 412):
            raise NotWritten(job, error) from error
    job.written_at = timezone.now()
    job.save(update_fields=["written_at"])


def _missing(folder: GroupFolder, keys: Sequence[str]) -> list[str]:
    """Return the keys that S3 does not hold. Raises NoAnswer, also if S3 refuses to tell."""
    client = s3_client(folder, Purpose.BROWSE)
    try:
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            heads = pool.map(lambda key: head(client, folder.bucket, key), keys)
            return [key for key, stored in zip(keys, heads, strict=True) if stored is None]
    except (BotoCoreError, ClientError) as error:
        raise NoAnswer(f"S3 did not say what is there: {error}. {NOTHING_SUBMITTED} Try again.") from error

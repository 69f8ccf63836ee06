"""`manage.py job`: submit to analyses and follow what comes of it, from a terminal."""

import sys
from typing import Any

from control_plane.access.groups.services.members import find_user
from control_plane.base.errors import NotFound
from control_plane.base.polling import Changes, poll_until
from control_plane.base.terminal import EXIT_STILL_WAITING, table
from control_plane.deployments.terminal import DeployingCommand
from control_plane.research.jobs.models import Job
from control_plane.research.jobs.protocol import log_key
from control_plane.research.jobs.status import JobStatus, read_log, read_status, save_status
from control_plane.research.jobs.submitting import expand_folders, new_token, submit
from control_plane.research.storage.group_folder import GroupFolder, find_group_folder
from control_plane.research.storage.sessions import jobs_client

MAX_LISTED = 50
POLL_SECONDS = 2.0
EXIT_FAILED = 1
WAIT_SECONDS = 86_400


class Command(DeployingCommand):
    """Job commands for a terminal."""

    help = "List jobs, submit one in a member's name, follow it, and print its logs."

    def add_verbs(self) -> None:
        listing = self.verb("list", self.list, f"List a group's newest {MAX_LISTED} jobs.")
        listing.add_argument("group", metavar="slug")
        listing.add_argument("--analysis")
        self._of_job(self.verb("show", self.show_one, "Look in S3 how a job is, and show it."))
        submitting = self.verb("submit", self.submit, "Submit data sets with a configuration.")
        submitting.add_argument("group", metavar="slug")
        submitting.add_argument("analysis")
        submitting.add_argument("inputs", nargs="+", help="Below the group's folder: inputs/a.csv, or inputs/day-1/ for all in it.")
        submitting.add_argument("--config", required=True, help="Below the group's folder: configs/first.yaml.")
        submitting.add_argument("--as", dest="email", required=True, help="The member who submits.")
        following = self._of_job(
            self.verb("follow", self.follow_one, "Show how far a job is until it ends; the exit status tells how.")
        )
        following.add_argument(
            "--timeout", type=float, default=WAIT_SECONDS, help=f"Longest wait in seconds (default {WAIT_SECONDS})."
        )
        log = self._of_job(self.verb("log", self.log, "Print the log of a data set."))
        log.add_argument("dataset", help="Below the group's folder: inputs/a.csv.")

    def list(self, options: dict[str, Any]) -> None:
        jobs = Job.objects.filter(group__slug=options["group"]).select_related("group", "analysis", "submitted_by")
        if options["analysis"]:
            jobs = jobs.filter(analysis__slug=options["analysis"])
        jobs_listed = list(jobs[:MAX_LISTED])
        rows = [
            [str(job.pk), job.name, job.state, f"{job.done_count}/{len(job.inputs)}", str(job.failed_count), job.submitted_by.email]
            for job in jobs_listed
        ]
        self.show(
            options, [job_as_dict(job) for job in jobs_listed], table(rows, ["NUMBER", "JOB", "STATE", "DONE", "FAILED", "BY"])
        )

    def show_one(self, options: dict[str, Any]) -> None:
        job, status = self._read(options)
        rows = [
            [key, dataset.status if dataset else "not mentioned yet", dataset.last_command if dataset else ""]
            for key, dataset in status.datasets.items()
        ]
        said = [f"{job.name}: {job.get_state_display()}", table(rows, ["DATA SET", "STATUS", "LAST COMMAND"])]
        said += [f"Line {line.line} of the certificate cannot be read: {line.text}" for line in status.certificate.unreadable]
        self.show(options, job_as_dict(job) | status_as_dict(status), "\n".join(said))

    def submit(self, options: dict[str, Any]) -> None:
        folder = _find_folder(options)
        inputs = expand_folders(folder, [f"{folder.prefix}{path}" for path in options["inputs"]])
        job = submit(
            folder=folder, inputs=inputs, config_key=f"{folder.prefix}{options['config']}", token=new_token(), actor=self.actor
        )
        self.show(options, job_as_dict(job), f"Submitted {len(inputs)} data sets as {job.name}.")

    def follow_one(self, options: dict[str, Any]) -> None:
        printed = Changes(self.stderr.write)
        job, status = poll_until(
            lambda: self._read(options),
            lambda read: not read[0].is_open,
            seconds=options["timeout"],
            every=POLL_SECONDS,
            waiting=lambda read: printed.tell(_progress(read[0])),
        )
        self.show(options, job_as_dict(job) | status_as_dict(status), f"{_progress(job)}\n{job.name}: {job.get_state_display()}")
        if job.state != Job.State.SUCCEEDED:
            sys.exit(EXIT_STILL_WAITING if job.is_open else EXIT_FAILED)

    def log(self, options: dict[str, Any]) -> None:
        job = _find(options["job"])
        client, offset, pieces = jobs_client(job.group, job.analysis), 0, []
        key = f"{job.group.slug}/{options['dataset']}"
        while (part := read_log(job, key, offset, client)).offset > offset:
            pieces.append(part.text)
            offset = part.offset
        if not part.is_there:
            raise NotFound(f"There is no {log_key(job, key)}: the back end has written nothing about this data set.")
        text = "".join(pieces)
        self.show(options, {"job": job.name, "dataset": key, "log": text}, text)

    def _of_job(self, parser: Any) -> Any:
        parser.add_argument("job", help="Its name, as `list` shows it, or its number.")
        return parser

    def _read(self, options: dict[str, Any]) -> tuple[Job, JobStatus]:
        job = _find(options["job"])
        status = read_status(job, jobs_client(job.group, job.analysis))
        save_status(job, status)
        return job, status


def job_as_dict(job: Job) -> dict[str, Any]:
    """Return a job for JSON."""
    return {
        "id": job.pk,
        "job": job.name,
        "group": job.group.slug,
        "analysis": job.analysis.slug,
        "state": job.state,
        "submitted_by": job.submitted_by.email,
        "submitted_at": job.submitted_at.isoformat(),
        "submission": job.submission_key,
        "inputs": job.inputs,
        "configuration": job.config_key,
        "succeeded": job.done_count,
        "failed": job.failed_count,
        "ended_at": job.ended_at.isoformat() if job.ended_at else None,
    }


def status_as_dict(status: JobStatus) -> dict[str, Any]:
    """Return the status of each data set for JSON."""
    return {
        "datasets": [{"path": key, "status": dataset.status if dataset else None} for key, dataset in status.datasets.items()],
        "unreadable": [{"line": line.line, "text": line.text} for line in status.certificate.unreadable],
    }


def _find(name: str) -> Job:
    jobs = Job.objects.select_related("group__stack", "analysis", "submitted_by")
    if name.isdigit():
        matches = list(jobs.filter(pk=int(name)))
    else:
        rest, _, timestamp = name.removeprefix("job__").rpartition("_")
        matches = list(jobs.filter(analysis__bucket=rest, timestamp=int(timestamp))) if timestamp.isdigit() else []
    if not matches:
        raise NotFound(f"There is no job {name!r}. `manage.py job list <group>` shows those there are.")
    if len(matches) > 1:
        # A timestamp is one group's own.
        numbers = ", ".join(f"{job.pk} ({job.group.slug})" for job in matches)
        raise NotFound(f"Several groups have a job {name!r}. Give the number of the one that is meant: {numbers}.")
    return matches[0]


def _find_folder(options: dict[str, Any]) -> GroupFolder:
    return find_group_folder(group_slug=options["group"], analysis_slug=options["analysis"], user=find_user(options["email"]))


def _progress(job: Job) -> str:
    ended = job.done_count + job.failed_count
    filled = 20 * ended // max(len(job.inputs), 1)
    failed = f", {job.failed_count} of them failed" if job.failed_count else ""
    return f"[{'#' * filled}{'.' * (20 - filled)}] {ended} of {len(job.inputs)} data sets{failed}: {job.get_state_display()}"

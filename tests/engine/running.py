"""A control plane with a worker that runs, behind a proxy that can fail: what the tests of single failures look at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests import stillness
from tests.e2e.site import children_of
from tests.engine.control import PATIENCE_SECONDS, Cloud, Control, Worker
from tests.faults import Faults

# How often a worker looks whether its deployer answers, and how long it waits: a third of a minute otherwise.
WATCHFUL = ("control_plane.worker.loop.PING_SECONDS=0.5", "control_plane.deployments.deployers.resident.SILENCE_SECONDS=4")
Row = dict[str, Any]


class Running:
    """One worker at work. Groups are named anew by each test."""

    def __init__(self, control: Control, faults: Faults) -> None:
        self.control, self.faults = control, faults
        self.worker = control.worker(tuned=WATCHFUL, AWS_ENDPOINT_URL=faults.endpoint)

    @property
    def cloud(self) -> Cloud:
        """The AWS behind the proxy."""
        return self.control.cloud

    def lab(self, name: str, *holders: str, deployed: bool = True) -> str:
        """A group with an analysis and these key holders, deployed. Returns its slug."""
        slug = self.control.slug(name)
        self.control.do("group", slug=slug)
        self.control.do("grant", analysis="ephys", slug=slug)
        for email in holders:
            self.control.do("add", slug=slug, email=email, access="keys")
        if deployed:
            self.ends(slug, "succeeded")
        return slug

    def newest(self, slug: str, dump: Row | None = None) -> Row:
        """The group's newest deployment."""
        deployments: list[Row] = (dump or self.control.dump())["deployments"]
        return [deployment for deployment in deployments if deployment["stack"] == f"Group-{slug}"][-1]

    def stack(self, slug: str) -> Row:
        """The group's stack in the database."""
        return next(stack for stack in self.control.dump()["stacks"] if stack["name"] == f"Group-{slug}")

    def when(self, slug: str, holds: Callable[[Row], Any], seconds: float = PATIENCE_SECONDS) -> Row:
        """The group's newest deployment, once this holds of it."""
        return self.newest(slug, self.control.until(lambda dump: holds(self.newest(slug, dump)), seconds))

    def ends(self, slug: str, state: str, seconds: float = PATIENCE_SECONDS) -> Row:
        """The group's newest deployment once it has ended, which has to be so."""
        ended = self.when(slug, lambda one: one["state"] not in ("queued", "running"), seconds)
        assert ended["state"] == state, ended
        return ended

    def aws_status(self, slug: str) -> str:
        """CloudFormation's word on the group's stack."""
        stacks = self.cloud.root("cloudformation").describe_stacks()["Stacks"]
        return next((stack["StackStatus"] for stack in stacks if stack["StackName"] == f"Group-{slug}"), "")

    @contextmanager
    def worker_paused(self) -> Iterator[None]:
        """The worker stands still meanwhile."""
        with paused(self.control, self.worker):
            yield

    def child(self, words: str) -> int:
        """The worker's child that does this work."""
        return child_named(self.worker, words)


@contextmanager
def paused(control: Control, *workers: Worker) -> Iterator[None]:
    """The workers' own processes stand still meanwhile, as on a host that does."""
    stand_still(control, *workers)
    try:
        yield
    finally:
        go_on(*workers)


def stand_still(control: Control, *workers: Worker) -> None:
    """Stop them while they hold no lock; PostgreSQL has one for each row, and an idle worker holds none."""
    database = None if control.env["DATABASE_URL"] else control.folder / "cohort.sqlite3"
    stillness.stand_still([worker.pid for worker in workers], database)


def go_on(*workers: Worker) -> None:
    """Let them go on."""
    stillness.go_on(worker.pid for worker in workers)


def child_named(worker: Worker, words: str) -> int:
    """The innermost process of the worker whose command line holds these words: wrappers come before what they wrap."""
    return [pid for pid in children_of(worker.pid) if words in command(pid)][-1]


def command(pid: int) -> str:
    """What a process was started with; empty where it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 (Linux's own, and it may be gone)
            return file.read().replace(b"\0", b" ").decode()
    except OSError:
        return ""

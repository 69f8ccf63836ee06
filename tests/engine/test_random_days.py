"""Edits by the hundred while workers are killed, and AWS, the deployer and the disk fail: AWS ends up as the database says.

One long day, made by hypothesis from a fixed seed: the same in every run, another with `HYPOTHESIS_SEED=<number>`.
"""

import errno
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from tests.e2e.site import children_of
from tests.engine.conftest import NewControl
from tests.engine.control import Cloud, Control, Worker
from tests.engine.running import command
from tests.faults import Faults
from tests.slow import IS_SLOW_WANTED, slow

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

# The whole day takes more than a minute.
GROUPS, PEOPLE, EDITS, TROUBLES = (20, 12, 260, 14) if IS_SLOW_WANTED else (8, 12, 80, 8)
SEED = int(os.environ.get("HYPOTHESIS_SEED", "20261124"))
DISK_BYTES = 1024 * 1024

edits = st.one_of(
    st.tuples(st.just("add"), st.integers(0, GROUPS - 1), st.integers(0, PEOPLE - 1), st.sampled_from(["federated", "keys"])),
    st.tuples(st.just("remove"), st.integers(0, GROUPS - 1), st.integers(0, PEOPLE - 1), st.just("")),
    st.tuples(st.just("grant"), st.integers(0, GROUPS - 1), st.integers(0, 1), st.sampled_from(["read-write", "read-only"])),
    st.tuples(st.just("revoke"), st.integers(0, GROUPS - 1), st.integers(0, 1), st.just("")),
)
troubles = st.sampled_from(
    [
        *("kill-worker", "kill-worker", "kill-deployer", "kill-synthesiser", "hang-deployer", "full-disk"),
        *("503", "throttle", "drop", "lose", "503-execute", "throttle-create"),
    ]
)
days = st.tuples(
    st.lists(edits, min_size=EDITS, max_size=EDITS),
    st.lists(st.tuples(st.integers(0, EDITS - 1), troubles), min_size=TROUBLES, max_size=TROUBLES),
)


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=slow)])
def test_aws_ends_up_exactly_as_the_database_says(new_control: NewControl, cloud: Cloud, database: str, tmp_path: Path) -> None:
    phases = (Phase.generate,)
    checks = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much)

    @seed(SEED)
    @settings(max_examples=1, deadline=None, phases=phases, database=None, suppress_health_check=checks)
    @given(day=days)
    def one_day(day: tuple[list[Any], list[Any]]) -> None:
        # Hypothesis begins with the simplest day there is, on which everybody does the same all the time.
        assume(len(set(day[0])) > EDITS // 2)
        assume(len({kind for _, kind in day[1]}) > TROUBLES // 3)
        with small_disk(tmp_path / "disk") as disk, Faults(cloud.aws.port) as faults:
            control = new_control(database, COHORT_MANIFEST_STORE=str(disk / "manifests"), COHORT_CHANGE_SET_SECONDS="6")
            (control.folder / "cdk").symlink_to(disk / "work")
            live_through(Day(control, faults, disk), *day)

    one_day()


class Day:
    """Two workers, and the troubles that they meet."""

    def __init__(self, control: Control, faults: Faults, disk: Path) -> None:
        self.control, self.faults, self.disk = control, faults, disk
        self.workers = [self._worker(), self._worker()]
        self.rng = random.Random(SEED)  # noqa: S311

    def edit(self, kind: str, group: int, number: int, detail: str) -> None:
        """One change, which may be refused: it may make no sense just then."""
        slug, email = self.control.slug(f"lab-{group}"), f"person-{number}@example.org"
        analysis = ("ephys", "video")[number % 2]
        match kind:
            case "add":
                self.control.do("add", slug=slug, email=email, access=detail)
            case "remove":
                self.control.do("remove", slug=slug, email=email)
            case "grant":
                self.control.do("grant", analysis=analysis, slug=slug, level=detail)
            case "revoke":
                self.control.do("revoke", analysis=analysis, slug=slug)

    def trouble(self, kind: str) -> None:
        """Something goes wrong."""
        number = self.rng.randrange(2)
        calls: dict[str, Callable[[], Any]] = {
            "kill-worker": lambda: self._kill_worker(number),
            "kill-deployer": lambda: self._signal(number, "resident_deployer", signal.SIGKILL),
            "kill-synthesiser": lambda: self._signal(number, "stacks.group.synthesiser", signal.SIGKILL),
            "hang-deployer": lambda: self._signal(number, "resident_deployer", signal.SIGSTOP),
            "full-disk": lambda: fill(self.disk),
            "503": lambda: self.faults.add("503", times=6),
            "throttle": lambda: self.faults.add("throttle", service="cloudformation", times=6),
            "drop": lambda: self.faults.add("drop", times=4),
            "lose": lambda: self.faults.add("lose", service="cloudformation", times=2),
            "503-execute": lambda: self.faults.add("503", action="ExecuteChangeSet", times=2),
            "throttle-create": lambda: self.faults.add("throttle", action="CreateChangeSet", times=4),
        }
        calls[kind]()

    def calm(self) -> None:
        """The troubles end: AWS answers, there is room, and two workers run."""
        self.faults.clear()
        free(self.disk)
        for number, worker in enumerate(self.workers):
            if worker.process.poll() is not None:
                self.workers[number] = self._worker()

    def _worker(self) -> Worker:
        return self.control.worker(AWS_ENDPOINT_URL=self.faults.endpoint)

    def _kill_worker(self, number: int) -> None:
        self.workers[number].kill()
        self.workers[number] = self._worker()

    def _signal(self, number: int, what: str, signal_number: int) -> None:
        for pid in children_of(self.workers[number].pid):
            if what in command(pid):
                os.kill(pid, signal_number)


def live_through(day: Day, changes: list[Any], wrongs: list[tuple[int, str]]) -> None:
    """Edit all day long while things go wrong, then see that AWS and the database agree."""
    for group in range(GROUPS):
        day.control.do("group", slug=day.control.slug(f"lab-{group}"))
    due = sorted(wrongs)
    for number, change in enumerate(changes):
        while due and due[0][0] <= number:
            day.trouble(due.pop(0)[1])
            time.sleep(0.5)
            free(day.disk) if number % 3 == 0 else None
        day.edit(*change)
        time.sleep(0.03)
    time.sleep(2)
    day.calm()
    dump = day.control.idle(150)
    assert permanent(day, dump) == []
    for failed in gave_up(dump):
        # Six tries in a few seconds were too few for all that went wrong at once: somebody asks again, as the page offers.
        day.control.do("retry", deployment=failed["id"])
    dump = day.control.settled(60)
    assert len(dump["deployments"]) > GROUPS * 2
    day.control.assert_aws_holds_what_the_database_says()
    assert overlapping(dump) == []


def permanent(day: Day, dump: dict[str, Any]) -> list[tuple[str, str]]:
    """Each deployment that waits for somebody, which nothing of this day is a reason for: its error, and its log."""
    failed = [deployment for deployment in dump["deployments"] if deployment["failure"] == "permanent"]
    return [(deployment["error"], day.control.manage("deployment", "log", str(deployment["id"]))) for deployment in failed]


def gave_up(dump: dict[str, Any]) -> list[dict[str, Any]]:
    """The newest deployment of each stack that is out of step."""
    newest = {deployment["stack"]: deployment for deployment in dump["deployments"]}
    return [newest[name] for name in dump["out_of_step"]]


def overlapping(dump: dict[str, Any]) -> list[tuple[int, int]]:
    """Runs of one stack that were under way at the same time."""
    found = []
    ran = [
        deployment
        for deployment in dump["deployments"]
        if deployment["started"] and deployment["finished"] and deployment["state"] != "superseded"
    ]
    for first in ran:
        found += [
            (first["id"], second["id"])
            for second in ran
            if first["id"] < second["id"] and first["stack"] == second["stack"] and second["started"] < first["finished"]
        ]
    return found


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own that can be filled; where nothing may be mounted, a folder that can be made to look full."""
    folder.mkdir(exist_ok=True)  # Hypothesis tries a failed day once more, and tells of that try
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["/bin/mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES * 8}", "tmpfs", str(folder)], check=False, capture_output=True
        ).returncode
    )
    (folder / "work").mkdir()
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Leave no room."""
    if not os.path.ismount(disk):
        (disk / "manifests").rename(disk / "away") if (disk / "manifests").is_dir() else None
        (disk / "manifests").write_text("no folder any more")
        return
    filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    written = 1
    while written:
        try:
            written = os.write(filler, b"\0" * 4096)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            written = 0
    os.close(filler)


def free(disk: Path) -> None:
    """There is room again."""
    (disk / "filler").unlink(missing_ok=True)
    if (disk / "away").is_dir():
        (disk / "manifests").unlink()
        (disk / "away").rename(disk / "manifests")

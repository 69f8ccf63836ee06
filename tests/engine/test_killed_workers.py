"""A worker that is killed, at whatever stage: one later worker brings the group to what is wanted, and nothing is there twice."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.engine.conftest import make_control
from tests.engine.control import Cloud, Control
from tests.engine.dying_worker import STAGES
from tests.slow import IS_SLOW_WANTED, slow

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

# Longer than it takes all the others of one database to die, on any machine: then one later worker finds all of them at their first
# try. It need not wait for that: the leases are ended when all are dead.
LEASE_SECONDS = "900"


class Case(NamedTuple):
    """Where the worker dies, and over what."""

    stage: str
    kind: str
    database: str
    deployer: str = "resident"

    @property
    def lab(self) -> str:
        """The group that it dies over."""
        return f"{self.stage}-{self.kind}-{self.deployer}"


CASES = [
    *(Case(stage, kind, "sqlite") for kind in ("create", "update") for stage in STAGES),
    Case("executing", "update", "sqlite", "cli"),
    *(Case(stage, "update", "postgresql") for stage in STAGES),
]
# Each death starts a worker, a synthesiser and a deployer of its own: the telling stages, and the others with COHORT_SLOW=1.
ALWAYS = [
    Case("executing", "create", "sqlite"),
    Case("recording", "update", "sqlite"),
    Case("executing", "update", "postgresql"),
]
WANTED = CASES if IS_SLOW_WANTED else ALWAYS


class Ending(NamedTuple):
    """What was there when the worker was dead, and the group's deployment when another had done the rest."""

    dead: dict[str, Any]
    exit_status: int
    survivors: list[str]
    after: dict[str, Any]


def die_over_each(control: Control, cases: list[Case]) -> dict[Case, Ending]:
    """A worker dies over each group; then one other does the rest."""
    updated = [case for case in cases if case.kind == "update"]
    for case in updated:
        make_group(control, case)
    control.manage("worker", "--once")
    deaths = {case: die_over(control, case) for case in cases}
    control.do("end_leases")
    later = control.worker()
    after = control.settled(90)
    control.assert_aws_holds_what_the_database_says()
    later.process.terminate()
    later.wait()
    by_id = {deployment["id"]: deployment for deployment in after["deployments"]}
    return {case: Ending(*death, by_id[death[0]["id"]]) for case, death in deaths.items()}


def make_group(control: Control, case: Case) -> None:
    slug = control.slug(case.lab)
    control.do("group", slug=slug)
    control.do("grant", analysis="ephys", slug=slug)
    control.do("add", slug=slug, email="ada@example.org", access="keys")


def die_over(control: Control, case: Case) -> tuple[dict[str, Any], int, list[str]]:
    slug = control.slug(case.lab)
    if case.kind == "create":
        make_group(control, case)
    else:
        control.do("add", slug=slug, email="grace@example.org", access="keys")
        control.do("remove", slug=slug, email="ada@example.org")
    worker = control.worker(dies_at=case.stage, COHORT_DEPLOYER=case.deployer, COHORT_LEASE_SECONDS=LEASE_SECONDS)
    status = worker.wait()
    survivors = processes_of_session(worker.pid)
    newest = [deployment for deployment in control.dump()["deployments"] if deployment["stack"] == f"Group-{slug}"][-1]
    return newest, status, survivors


@pytest.fixture(scope="module")
def endings(
    cloud: Cloud, migrated: Path, postgresql: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Case], Ending]]:
    """All cases, both databases at once: most of it is waiting."""
    folder = tmp_path_factory.mktemp("killed")
    with ExitStack() as opened, ThreadPoolExecutor() as pool, cloud.slowly(0.12):
        futures = {}
        for database in ("sqlite", "postgresql"):
            control = opened.enter_context(make_control(cloud, folder, database, migrated, postgresql))
            cases = [case for case in WANTED if case.database == database]
            futures[database] = pool.submit(die_over_each, control, cases)
        yield lambda case: futures[case.database].result()[case]


@pytest.mark.parametrize("case", [pytest.param(case, marks=() if case in ALWAYS else slow, id="-".join(case)) for case in CASES])
def test_one_later_worker_brings_the_group_to_what_is_wanted(endings: Callable[[Case], Ending], case: Case) -> None:
    ending = endings(case)
    assert ending.exit_status == -signal.SIGKILL
    assert ending.dead["state"] == "running"
    assert ending.survivors == []
    told = ending.after
    assert told["state"] == "succeeded"
    assert told["attempts"] >= 2
    assert any("worker that ran this stopped" in line for line in told["log"])
    assert told["log"][-1].endswith(f"at generation {told['generation']}")


def processes_of_session(pid: int) -> list[str]:
    """What still runs of the processes that a dead worker started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            session = os.getsid(int(folder.name))
        except (OSError, ValueError):
            continue
        if pid in (parent, session):
            found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found

"""Two workers share what there is to do: never both at one group, and each goes on with what the other had to leave."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import make_control
from tests.engine.control import Cloud, Control, Worker
from tests.engine.running import child_named, paused
from tests.faults import Faults, wait_until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(150)]

GROUPS, EDITS = 12, 48
ADA, GRACE = "ada@example.org", "grace@example.org"
WORKER = "control_plane.deployments.worker"
# Pings and their patience shortened: a process that hangs is otherwise found after half a minute.
WATCHFUL = (f"{WORKER}.PING_SECONDS=0.5", "control_plane.deployments._resident.SILENCE_SECONDS=2")
Row = dict[str, Any]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def control(
    request: pytest.FixtureRequest, cloud: Cloud, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Control]:
    """A control plane without workers; changes to a group within a second join one deployment."""
    address = request.getfixturevalue("postgresql") if request.param == "postgresql" else ""
    folder = tmp_path_factory.mktemp("two")
    with make_control(cloud, folder, request.param, migrated, address, COHORT_SETTLE_SECONDS="1") as made:
        yield made
        cloud.aws.set_pace(0)


@pytest.fixture(scope="module")
def pair(control: Control) -> list[Worker]:
    """Two workers that run, for all the tests of one database."""
    return [control.worker(tuned=WATCHFUL), control.worker(tuned=WATCHFUL)]


def group(control: Control, name: str, *holders: str) -> str:
    """A new group with these key holders, not deployed yet."""
    slug = control.slug(name)
    control.do("group", slug=slug)
    for email in holders:
        control.do("add", slug=slug, email=email, access="keys")
    return slug


def of(dump: Row, slug: str) -> list[Row]:
    """The group's deployments, oldest first."""
    return [one for one in dump["deployments"] if one["stack"] == f"Group-{slug}"]


def when(control: Control, slug: str, holds: Callable[[Row], Any]) -> Row:
    """The group's newest deployment, once this holds of it."""
    return of(control.until(lambda dump: holds(of(dump, slug)[-1])), slug)[-1]


def aws_is_changing(one: Row) -> bool:
    """Whether CloudFormation has begun, as far as the page says."""
    return one["state"] == "running" and any(line.startswith("UPDATE_IN_PROGRESS  AWS::Cloud") for line in one["log"])


def test_a_burst_of_edits_to_many_groups_reaches_aws_whole_and_no_group_was_deployed_by_two_at_once(
    control: Control, pair: list[Worker]
) -> None:
    rng = random.Random(12)  # noqa: S311
    slugs = [group(control, f"many-{number}") for number in range(GROUPS)]
    for _ in range(EDITS):
        slug, email = rng.choice(slugs), f"person-{rng.randrange(4)}@example.org"
        change = rng.choice(["add", "add", "remove", "grant", "revoke"])
        match change:
            case "add":
                control.do("add", slug=slug, email=email, access=rng.choice(["keys", "federated"]))
            case "remove":
                control.do("remove", slug=slug, email=email)
            case _:
                control.do(change, slug=slug, analysis=rng.choice(["ephys", "video"]))
    dump = control.settled()
    control.assert_aws_holds_what_the_database_says()
    assert {one["state"] for one in dump["deployments"]} == {"succeeded"}
    runs = [one for one in dump["deployments"] if one["started"] and one["worker"]]
    assert len({one["worker"] for one in runs}) == len(pair)
    for slug in slugs:
        ran = sorted(of(dump, slug), key=lambda one: one["started"])
        assert all(before["finished"] <= after["started"] for before, after in zip(ran, ran[1:], strict=False)), ran


@pytest.mark.usefixtures("pair")
def test_ten_changes_within_a_second_are_two_deployments_at_most(control: Control) -> None:
    slug = group(control, "ten")
    control.settled()
    time.sleep(1.2)
    before = len(of(control.dump(), slug))
    began = time.monotonic()
    for number in range(10):
        control.do("add", slug=slug, email=f"person-{number}@example.org", access="federated")
    assert time.monotonic() - began < 1
    after = of(control.settled(), slug)
    assert len(after) - before <= 2
    assert sum(len(one["changes"]) for one in after[before:]) == 10


def test_a_worker_that_is_stopped_ends_what_it_is_deploying_first(control: Control, pair: list[Worker]) -> None:
    slug = group(control, "ending", ADA)
    control.settled()
    with control.cloud.slowly(0.5):
        control.do("add", slug=slug, email=GRACE, access="keys")
        under_way = when(control, slug, aws_is_changing)
        mine = next(worker for worker in pair if f":{worker.pid}:" in under_way["worker"])
        pair.remove(mine)
        began = time.monotonic()
        mine.process.terminate()
        assert mine.wait(30) == 0
        assert time.monotonic() - began < 30
    ended = of(control.settled(), slug)[-1]
    assert (ended["id"], ended["state"], ended["attempts"]) == (under_way["id"], "succeeded", 1)
    assert ended["worker"] == under_way["worker"]
    pair.append(control.worker(tuned=WATCHFUL))


def test_a_worker_that_is_stopped_hands_over_what_takes_too_long(control: Control, pair: list[Worker]) -> None:
    """Within 30 s; on PostgreSQL its patience is shortened, so that only one of these takes so long."""
    slug = group(control, "handed", ADA)
    control.settled()
    shortened = () if not control.env["DATABASE_URL"] else (f"{WORKER}.GRACE_SECONDS=1",)
    with everyone_else_paused(pair), control.cloud.slowly(60):
        leaving = control.worker(tuned=(*WATCHFUL, *shortened))
        control.do("add", slug=slug, email=GRACE, access="keys")
        under_way = when(control, slug, aws_is_changing)
        began = time.monotonic()
        leaving.process.terminate()
        assert leaving.wait(30) == 0
        assert time.monotonic() - began < 30
        left = of(control.dump(), slug)[-1]
        assert left["state"] == "queued"
        assert "This worker stops; the next one looks what AWS did, and goes on" in left["log"]
    ended = of(control.settled(), slug)[-1]
    assert (ended["id"], ended["state"], ended["attempts"]) == (under_way["id"], "succeeded", 1)
    assert ended["worker"] != under_way["worker"]
    control.assert_aws_holds_what_the_database_says()


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["hangs", "dies"])
def test_a_deployer_that_hangs_or_dies_costs_a_try_and_nothing_is_there_twice(
    control: Control, pair: list[Worker], number: int
) -> None:
    slug = group(control, f"deployer-{number}", ADA)
    control.settled()
    with control.cloud.slowly(0.4):
        control.do("add", slug=slug, email=GRACE, access="keys")
        control.do("remove", slug=slug, email=ADA)
        under_way = when(control, slug, aws_is_changing)
        mine = next(worker for worker in pair if f":{worker.pid}:" in under_way["worker"])
        os.kill(child_named(mine, "resident_deployer"), number)
        failed = "Failed: The resident deployer ended unexpectedly while it deployed."
        when(control, slug, lambda one: failed in one["log"])
    ended = of(control.settled(), slug)[-1]
    assert (ended["id"], ended["state"], ended["attempts"]) == (under_way["id"], "succeeded", 2)
    control.assert_aws_holds_what_the_database_says()


def test_a_synthesiser_that_dies_at_work_costs_a_try(control: Control, pair: list[Worker]) -> None:
    slug = group(control, "synthesiser", ADA)
    control.settled()
    pids = [child_named(worker, "stacks.synthesiser") for worker in pair]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    control.do("add", slug=slug, email=GRACE, access="keys")
    when(control, slug, lambda one: one["state"] == "running")
    time.sleep(0.3)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    ended = of(control.settled(), slug)[-1]
    assert (ended["state"], ended["attempts"]) == ("succeeded", 2)
    assert "Failed: The synthesiser ended unexpectedly." in ended["log"]
    control.assert_aws_holds_what_the_database_says()


def test_a_worker_that_stood_still_past_its_lease_touches_nothing_any_more(control: Control, pair: list[Worker]) -> None:
    """Its change set is made, but it finds that the group is not its own any more, and leaves it alone."""
    slug = group(control, "still", ADA)
    control.settled()
    with Faults(control.cloud.aws.port) as faults:
        with everyone_else_paused(pair):
            still = control.worker(AWS_ENDPOINT_URL=faults.endpoint)
            faults.add("delay", action="CreateChangeSet", seconds=1.0)
            control.do("add", slug=slug, email=GRACE, access="keys")
            wait_until(faults, "CreateChangeSet", seconds=30)
            pause = paused(still)
            pause.__enter__()
        ended = of(control.settled(), slug)[-1]
        assert f":{still.pid}:" not in ended["worker"]
        assert ended["attempts"] == 2
        pause.__exit__(None, None, None)
        deadline = time.monotonic() + 10
        while "the lease was lost" not in still.tail():
            assert time.monotonic() < deadline, still.tail()
            time.sleep(0.1)
        assert faults.counts["ExecuteChangeSet"] == 0
        assert of(control.dump(), slug)[-1] == ended
        control.assert_aws_holds_what_the_database_says()
        still.kill()


@contextmanager
def everyone_else_paused(pair: list[Worker]) -> Iterator[None]:
    """The two that run stand still meanwhile: they hold no lease, so nobody misses them."""
    for worker in pair:
        os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in pair:
            os.kill(worker.pid, signal.SIGCONT)

"""Two workers share what there is to do: never both at one group, and each goes on with what the other had to leave."""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import children_of
from tests.engine.conftest import make_control
from tests.engine.control import PATIENCE_SECONDS, Cloud, Control, Worker
from tests.engine.running import command, go_on, paused, stand_still
from tests.faults import Faults, wait_until
from tests.slow import skip_unless_slow

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

GROUPS, EDITS = 12, 48
ADA, GRACE = "ada@example.org", "grace@example.org"
Row = dict[str, Any]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def control(
    request: pytest.FixtureRequest, cloud: Cloud, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Control]:
    """A control plane without workers; changes to a group within a second join one deployment."""
    address = request.getfixturevalue("postgresql") if request.param == "postgresql" else ""
    folder = tmp_path_factory.mktemp("two")
    with make_control(
        cloud, folder, request.param, migrated, address, COHORT_SETTLE_SECONDS="1", COHORT_LEASE_SECONDS="20"
    ) as made:
        yield made
        cloud.aws.set_pace(0)


@pytest.fixture(scope="module")
def pair(control: Control) -> list[Worker]:
    """Two workers that run, for all the tests of one database: both have what they deploy with."""
    both = [control.worker(), control.worker()]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not all(any("resident_deployer" in command(pid) for pid in children_of(worker.pid)) for worker in both):
        assert time.monotonic() < deadline, [worker.tail() for worker in both]
        time.sleep(0.1)
    return both


def group(control: Control, name: str, *holders: str) -> str:
    """A new group with these key holders, not deployed yet."""
    slug = control.slug(name)
    control.do("group", slug=slug)
    for email in holders:
        control.do("add", slug=slug, email=email, access="keys")
    return slug


def of(dump: Row, slug: str) -> list[Row]:
    """The group's deployments, oldest first."""
    return [deployment for deployment in dump["deployments"] if deployment["stack"] == f"Group-{slug}"]


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
    assert [deployment for deployment in dump["deployments"] if deployment["state"] != "succeeded"] == []
    runs = [deployment for deployment in dump["deployments"] if deployment["started"] and deployment["worker"]]
    assert len({run["worker"] for run in runs}) == len(pair)
    for slug in slugs:
        ran = sorted(of(dump, slug), key=lambda one: one["started"])
        assert all(before["finished"] <= after["started"] for before, after in itertools.pairwise(ran)), ran


@pytest.mark.usefixtures("pair")
def test_ten_changes_within_a_second_are_two_deployments_at_most(control: Control) -> None:
    slug = group(control, "ten")
    control.settled()
    time.sleep(1.2)
    before = len(of(control.dump(), slug))
    began = time.monotonic()
    for number in range(10):
        control.do("add", slug=slug, email=f"person-{number}@example.org", access="federated")
    # A machine that is busy takes longer over them, and then as many more seconds may each have a deployment.
    seconds = int(time.monotonic() - began)
    after = of(control.settled(), slug)
    assert len(after) - before <= 2 + seconds
    assert sum(len(item["changes"]) for item in after[before:]) == 10


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
    pair.append(control.worker())


def test_a_worker_that_is_stopped_hands_over_what_takes_too_long(control: Control, pair: list[Worker]) -> None:
    """Within 30 s; on PostgreSQL its patience is shortened, so that only one of these takes so long."""
    skip_unless_slow(is_dear=not control.env["DATABASE_URL"])
    slug = group(control, "handed", ADA)
    control.settled()
    shortened = () if not control.env["DATABASE_URL"] else ("control_plane.worker.loop.GRACE_SECONDS=1",)
    with paused(control, *pair), control.cloud.slowly(60):
        leaving = control.worker(tuned=shortened)
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


def test_a_worker_that_stood_still_past_its_lease_touches_nothing_any_more(control: Control, pair: list[Worker]) -> None:
    """Its change set is made, but it finds that the group is not its own any more, and leaves it alone."""
    skip_unless_slow(is_dear=not control.env["DATABASE_URL"])
    slug = group(control, "still", ADA)
    control.settled()
    with Faults(control.cloud.aws.port) as faults:
        with paused(control, *pair):
            still = control.worker(AWS_ENDPOINT_URL=faults.endpoint, COHORT_LEASE_SECONDS="3")
            faults.add("delay", action="CreateChangeSet", seconds=1.0)
            control.do("add", slug=slug, email=GRACE, access="keys")
            wait_until(faults, "CreateChangeSet", seconds=30)
            stand_still(control, still)
        ended = of(control.settled(), slug)[-1]
        assert f":{still.pid}:" not in ended["worker"]
        assert ended["attempts"] == 2
        go_on(still)
        deadline = time.monotonic() + 10
        while "the lease was lost" not in still.tail():
            assert time.monotonic() < deadline, still.tail()
            time.sleep(0.1)
        assert faults.counts["ExecuteChangeSet"] == 0
        assert of(control.dump(), slug)[-1] == ended
        control.assert_aws_holds_what_the_database_says()
        still.kill()

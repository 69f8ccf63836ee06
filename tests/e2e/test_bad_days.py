"""Days on which AWS, the tools or the manifests fail: each ends in a deployment that says so, and goes on when mended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.server import free_port
from tests.control_plane.processes import wait_until
from tests.e2e.site import Site
from tests.slow import slow

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def group(site: Site) -> str:
    site.must("group", "create", "storm-lab", "--wait")
    return "storm-lab"


@pytest.fixture
def quiet_worker(site: Site) -> Iterator[None]:
    """The site's own worker pauses, with nothing under way, and the test runs one with settings of its own."""
    site.wait_for_deployments()
    with site.worker_paused():
        yield


def change_with(site: Site, group: str, email: str, **settings: str) -> dict[str, object]:
    """Ask for a change, and have a worker with these settings try it."""
    started = site.must("member", "add", group, email, "--create")["deployment"]
    done = site.manage("worker", "--once", **settings)
    assert "Traceback" not in done.err, done.err
    return dict(site.must("deployment", "show", str(started["id"])))


@pytest.mark.usefixtures("quiet_worker")
@pytest.mark.parametrize(
    ("settings", "state", "says", "advice"),
    [
        ({"COHORT_CDK": "/nowhere/cdk", "COHORT_DEPLOYER": "cli"}, "failed", "CDK command line is not installed", "make install"),
        ({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}, "queued", "AWS does not answer", "AWS_ENDPOINT_URL"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "failed", "AWS refuses the control plane's credentials", "access key"),
        pytest.param(
            {"AWS_ACCESS_KEY_ID": "AKIANOBODY0000000000"},
            *("failed", "AWS refuses the control plane's credentials", "access key"),
            marks=slow,
        ),
        ({"COHORT_MANIFEST_STORE": "/proc/nowhere"}, "queued", "manifest store", "Nothing was changed on AWS"),
    ],
    ids=["no-cdk", "no-aws", "wrong-secret", "unknown-key", "no-store"],
)
def test_a_bad_setting_is_a_deployment_that_says_so_and_what_may_pass_is_tried_again(
    site: Site, group: str, settings: dict[str, str], state: str, says: str, advice: str, request: pytest.FixtureRequest
) -> None:
    email = f"{request.node.callspec.id}@example.org"
    failed = change_with(site, group, email, **settings)
    assert failed["state"] == state
    assert says in str(failed["error"])
    assert advice in str(failed["advice"])
    shown = site.must("group", "show", group)
    assert shown["deployed_generation"] < shown["generation"]


def test_after_a_bad_day_the_next_change_brings_everything_that_waited(site: Site, group: str) -> None:
    ended = site.must("member", "add", group, "afterwards@example.org", "--create", "--wait")
    assert ended["deployment"]["state"] == "succeeded"
    assert {member["state"] for member in site.must("group", "show", group)["members"]} == {"active"}


def test_a_resource_that_cannot_be_made_is_named_and_taken_back(site: Site) -> None:
    iam = site.root("iam")
    iam.create_role(RoleName="cohort-clash-lab", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
    done = site.manage("group", "create", "clash-lab", "--wait", "--json")
    try:
        assert done.status == 1
        deployment = done.document["deployment"]
        assert deployment["state"] == "failed"
        assert "cohort-clash-lab" in deployment["error"] or "AWS::IAM::Role" in deployment["error"]
        assert "rename or remove it on AWS" in deployment["advice"]
    finally:
        iam.delete_role(RoleName="cohort-clash-lab")
    mended = site.must("member", "add", "clash-lab", "mended@example.org", "--create", "--wait")
    assert mended["deployment"]["state"] == "succeeded"


def test_nothing_half_written_is_left(site: Site) -> None:
    assert list(Path(site.var, "manifests").rglob(".new-*")) == []
    # A worker removes what it synthesised once it has recorded the end, which is all that `--wait` waits for.
    wait_until(lambda: list(Path(site.var, "cdk").iterdir()) == [], 20)

"""A database that is older than AWS deploys nothing by itself, and says what there is to decide."""

from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client

from control_plane.access.groups.models import Access, Group
from control_plane.access.groups.services.members import add_member
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.config import config
from control_plane.deployments import aws_ahead, drift_schedule
from control_plane.deployments.engine import upkeep
from control_plane.deployments.models import Deployment, DriftState, Stack, StoredManifest
from control_plane.deployments.requests import NothingToRetry, deploy_ours, request_repair
from stacks.manifest import GroupManifest, parse
from stacks.store import ManifestStore, open_store
from tests.control_plane.fakes import FakeAws, holding, run_one
from tests.factories import MembershipFactory, UserFactory, settle

pytestmark = pytest.mark.django_db
NAME = "Group-example-lab"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeAws:
    changed = config().model_copy(update={"cohort_manifest_store": str(tmp_path / "manifests")})
    for module in ("published", "engine.run"):
        monkeypatch.setattr(f"control_plane.deployments.{module}.config", lambda: changed)
    return FakeAws().install(monkeypatch)


@pytest.fixture
def store(aws: FakeAws, tmp_path: Path) -> ManifestStore:
    """Where what `aws` deploys is published."""
    return open_store(str(tmp_path / "manifests"))


@pytest.fixture
def stack(group: Group, aws: FakeAws) -> Stack:
    """The group's stack after a restore: the database says generation 1, and AWS has gone on to 3."""
    settle(group.stack)
    aws_ahead.mark_restored("default")
    aws.stacks[NAME] = holding(3)
    return Stack.objects.get()


def test_changes_after_a_restore_wait_however_many_there_are(
    stack: Stack, group: Group, ada: User, grace: User, aws: FakeAws
) -> None:
    for user in (ada, grace, UserFactory.create(email="linus@example.org")):
        MembershipFactory.create(group=group, user=user, keys=True)
    assert Stack.objects.get().generation == 4, "by its number alone it would look newer than AWS"
    ended = run_one(aws)
    assert (ended.state, ended.failure) == (Deployment.State.FAILED, "permanent")
    assert "does not know" in ended.error
    assert aws.deployed == []
    assert Stack.objects.get().newer_generation == 3
    assert upkeep.queue_out_of_step() == []


def test_what_aws_got_from_the_backup_s_own_past_is_no_reason_to_wait(
    stack: Stack, group: Group, ada: User, operator: Actor, aws: FakeAws
) -> None:
    aws.stacks[NAME] = holding(1)
    add_member(group=group, user=ada, access=Access.KEYS, actor=operator)
    assert run_one(aws).state == Deployment.State.SUCCEEDED
    assert Stack.objects.get().known_generation is None


def test_deciding_for_the_database_deploys_it_above_what_aws_holds_even_at_the_second_try(
    stack: Stack, operator: Actor, aws: FakeAws, store: ManifestStore
) -> None:
    Stack.objects.update(newer_generation=3)
    deployment = deploy_ours(stack, actor=operator)
    assert deployment.generation == 4
    manifest = parse(StoredManifest.objects.get(generation=4).text)
    assert isinstance(manifest, GroupManifest)
    assert manifest.sessions_not_before
    store.write(manifest.store_key, manifest.model_copy(update={"generation": 3}).to_json())
    aws.outcome = lambda _: holding(3)
    assert run_one(aws).state == Deployment.State.QUEUED
    newer_still = Stack.objects.get()
    assert (newer_still.newer_generation, newer_still.known_generation) == (0, 3)
    Deployment.objects.update(not_before=None)
    aws.outcome = lambda _: holding(4)
    assert run_one(aws).state == Deployment.State.SUCCEEDED
    assert AuditEvent.objects.filter(action="stack.deploy_ours").count() == 1


def test_a_disk_s_snapshot_is_told_by_what_is_published(
    group: Group, ada: User, operator: Actor, aws: FakeAws, store: ManifestStore
) -> None:
    """Nobody restored by our command; the manifest that AWS holds was published under a number that we gave to something else."""
    settle(group.stack)
    theirs = parse(StoredManifest.objects.get().text).model_copy(update={"generation": 2, "tags": {"by": "the other history"}})
    store.write(theirs.store_key, theirs.to_json())
    aws.stacks[NAME] = holding(2)
    add_member(group=group, user=ada, access=Access.KEYS, actor=operator)
    assert run_one(aws).state == Deployment.State.FAILED
    assert (aws.deployed, Stack.objects.get().newer_generation) == ([], 2)


def test_a_run_that_a_dead_worker_had_brought_to_its_end_goes_on(
    group: Group, ada: User, aws: FakeAws, store: ManifestStore
) -> None:
    settle(group.stack)
    MembershipFactory.create(group=group, user=ada, keys=True)
    ours = parse(StoredManifest.objects.get(generation=2).text)
    store.write(ours.store_key, ours.to_json())
    aws.stacks[NAME] = holding(2)
    assert run_one(aws).state == Deployment.State.SUCCEEDED


def test_each_stack_is_compared_once_after_a_restore(stack: Stack) -> None:
    drift_schedule.compare_restored()
    assert Stack.objects.get().drift_state == DriftState.CHECKING
    Stack.objects.update(drift_state=DriftState.DRIFTED)
    drift_schedule.compare_restored()
    assert Stack.objects.get().drift_state == DriftState.DRIFTED


def test_the_page_names_the_choice_and_takes_it(stack: Stack, administrator: User, client: Client, operator: Actor) -> None:
    Stack.objects.update(newer_generation=3, drift_state=DriftState.DRIFTED)
    client.force_login(administrator)
    page = client.get(f"/deployments/stacks/{NAME}/").content.decode()
    assert "after the backup" in page
    assert "Deploy what the database says" in page
    assert "Repair…" not in page
    assert "needs a decision" in client.get("/deployments/stacks/").content.decode()
    with pytest.raises(NothingToRetry, match="newer generation"):
        request_repair(Stack.objects.get(), actor=operator)
    assert client.post(f"/deployments/stacks/{stack.pk}/deploy-ours/").status_code == 302
    assert Deployment.objects.latest("pk").generation == 4


def test_only_administrators_decide(stack: Stack, ada: User, client: Client) -> None:
    Stack.objects.update(newer_generation=3)
    client.force_login(ada)
    assert client.post(f"/deployments/stacks/{stack.pk}/deploy-ours/").status_code in (403, 404)
    with pytest.raises(PermissionDenied):
        deploy_ours(stack, actor=Actor(label=ada.email, channel="web", user=ada))
    assert Stack.objects.get().newer_generation == 3


def test_without_anything_newer_there_is_nothing_to_decide(group: Group, operator: Actor) -> None:
    with pytest.raises(NothingToRetry):
        deploy_ours(group.stack, actor=operator)

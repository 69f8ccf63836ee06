"""What AWS holds and the database does not know: how a stack is read, what the page says, and what each decision does."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import aws_cdk
import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from control_plane.access.groups.models import Access, Analysis, Group, Membership
from control_plane.access.groups.services.manifests import group_manifest as manifest_of
from control_plane.access.review import deployed_manifest, scan, schedule, unmanaged, unmanaged_decisions, unmanaged_removal
from control_plane.access.review.models import UnmanagedResource
from control_plane.access.review.unmanaged_decisions import NotDecided
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.base.errors import InvalidName, NotFound, Refused
from control_plane.deployments import cloudformation
from control_plane.deployments.models import Deployment, Stack
from stacks.group.group_stack import GroupStack
from stacks.group.storage_stack import StorageStack
from stacks.manifest import AnalysisGrant, GroupManifest, Member, PlatformManifest
from stacks.store import StoreUnavailable, open_store
from tests.actors import OPERATOR
from tests.control_plane.fakes import holding
from tests.factories import AnalysisFactory, ScanFactory, UnmanagedResourceFactory, settle
from tests.stacks.builders import ADA, GRACE, LISE, group_manifest, platform_manifest

pytestmark = pytest.mark.django_db
NAME = "Group-new-lab"
HELD = group_manifest(
    slug="new-lab",
    generation=5,
    members=(
        Member(username=ADA, access="keys", key_serial=12, previous_key="inactive"),
        Member(username=GRACE, access="keys", part=1, suspended=True),
    ),
    analyses=(AnalysisGrant(bucket="cohort-ephys", access="read-write"), AnalysisGrant(bucket="cohort-video", access="read-only")),
)


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A manifest store that is empty, as after its disk was lost."""
    changed = config().model_copy(update={"cohort_manifest_store": str(tmp_path / "manifests")})
    monkeypatch.setattr(deployed_manifest, "config", lambda: changed)
    return str(tmp_path / "manifests")


@pytest.fixture
def buckets() -> list[Analysis]:
    made = [AnalysisFactory.create(slug=name, bucket=f"cohort-{name}") for name in ("ephys", "video")]
    settle(made[0].stack)
    return made


def waiting(manifest: GroupManifest | PlatformManifest = HELD, **fields: Any) -> UnmanagedResource:
    slug = manifest.slug if isinstance(manifest, GroupManifest) else ""
    return UnmanagedResourceFactory.create(
        kind="stack",
        name=manifest.stack_name,
        region=manifest.region,
        slug=slug,
        generation=manifest.generation,
        manifest=manifest.to_json(),
        read_at=timezone.now(),
        **{"status": "UPDATE_COMPLETE", **fields},
    )


def on_aws(
    monkeypatch: pytest.MonkeyPatch, folder: Path, manifest: GroupManifest | PlatformManifest, status: str = "UPDATE_COMPLETE"
) -> None:
    """CloudFormation holds the stack that our own templates make of a manifest."""
    app = aws_cdk.App(outdir=str(folder / "app"))
    if isinstance(manifest, GroupManifest):
        GroupStack(app, manifest)
    else:
        StorageStack(app, manifest)
    app.synth()
    templates = {path.name: json.loads(path.read_text()) for path in (folder / "app").glob("*.template.json")}
    main = templates.pop(f"{manifest.stack_name}.template.json")
    nested = {one: one for one, found in main["Resources"].items() if found["Type"] == "AWS::CloudFormation::Stack"}
    by_id = {manifest.stack_name: main, **dict(zip(nested, templates.values(), strict=True))}
    monkeypatch.setattr(cloudformation, "observe", lambda *_: holding(manifest.generation, status))
    monkeypatch.setattr(cloudformation, "template", lambda name, _region: by_id[name])
    monkeypatch.setattr(cloudformation, "nested_stacks", lambda *_: nested)


def read(manifest: GroupManifest | PlatformManifest) -> deployed_manifest.DeployedManifest:
    return deployed_manifest.read_deployed_manifest(manifest.stack_name, Place(manifest.account, manifest.region))


@pytest.mark.parametrize(
    "manifest",
    [
        HELD,
        HELD.model_copy(update={"suspended": True}),
        platform_manifest(generation=3),
        platform_manifest(generation=3, earlier_versions_days=30),
    ],
)
def test_what_a_stack_stands_for_is_read_from_its_template_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, manifest: GroupManifest | PlatformManifest
) -> None:
    on_aws(monkeypatch, tmp_path, manifest)
    assert read(manifest).manifest == manifest


def test_federated_members_are_known_where_the_same_manifest_is_published(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: str
) -> None:
    whole = HELD.model_copy(update={"members": (*HELD.members, Member(username=LISE, access="federated"))})
    on_aws(monkeypatch, tmp_path, whole)
    assert read(whole).manifest == HELD
    for differs in ({"generation": 4}, {"analyses": ()}):
        open_store(store).write(whole.store_key, whole.model_copy(update=differs).to_json())
        assert read(whole).manifest == HELD, "what was published is not what AWS holds"
    open_store(store).write(whole.store_key, whole.to_json())
    assert read(whole).manifest == whole


def test_a_stack_that_was_rolled_back_is_not_told_from_its_template(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_aws(monkeypatch, tmp_path, HELD, "UPDATE_ROLLBACK_COMPLETE")
    found = read(HELD)
    assert found.manifest is None
    assert "UPDATE_ROLLBACK_COMPLETE" in found.problem


def test_taking_over_makes_rows_of_what_aws_holds_and_asks_for_nothing(buckets: list[Analysis], ada: User) -> None:
    row = waiting()
    people = {ADA: "Ada@example.org", GRACE: "grace@example.org"}
    deployment = unmanaged_decisions.take_over(row, confirmation=NAME, people=people, name="New Lab", actor=OPERATOR)
    group = Group.objects.select_related("stack").get(slug="new-lab")
    assert (deployment, group.name, group.stack.generation, group.stack.deployed_generation) == (None, "New Lab", 5, 5)
    assert not Deployment.objects.filter(stack=group.stack).exists()
    adas = Membership.objects.get(username=ADA)
    assert (adas.user, adas.access, adas.access_state, adas.previous_key) == (ada, Access.KEYS, "active", "inactive")
    assert Membership.objects.get(username=GRACE).suspended_at is not None
    assert manifest_of(group, 6) == HELD.model_copy(update={"generation": 6}), "the next deployment changes nothing by itself"
    assert not UnmanagedResource.objects.exists()
    assert AuditEvent.objects.filter(action="group.take_over", target="group new-lab").exists()


def test_whoever_has_no_address_is_removed_and_every_open_session_ends(buckets: list[Analysis], ada: User) -> None:
    deployment = unmanaged_decisions.take_over(waiting(), confirmation=NAME, people={ADA: ada.email, GRACE: " "}, actor=OPERATOR)
    assert deployment is not None
    newest = deployment.stack.manifests.get(generation=6)
    wanted = GroupManifest.model_validate_json(newest.text)
    assert [member.username for member in wanted.members] == [ADA]
    assert wanted.sessions_not_before is not None
    assert AuditEvent.objects.get(action="member.leave_out").details["before"] == {"usernames": [GRACE]}


@pytest.mark.parametrize(
    ("people", "error"),
    [
        ({LISE: "lise@example.org"}, NotDecided),
        ({ADA: "ada@example.org", GRACE: "ADA@example.org"}, InvalidName),
        ({ADA: "no address"}, InvalidName),
    ],
)
def test_addresses_that_make_no_sense_change_nothing(buckets: list[Analysis], people: dict[str, str], error: type[Refused]) -> None:
    row = waiting()
    with pytest.raises(error, match="Nothing was changed"):
        unmanaged_decisions.take_over(row, confirmation=NAME, people=people, actor=OPERATOR)
    assert not Group.objects.exists()
    assert UnmanagedResource.objects.get().state == "waiting"


def test_a_group_is_not_taken_over_before_its_analyses_which_can_be(administrator: User) -> None:
    row, storage = waiting(), waiting(platform_manifest(generation=3))
    with pytest.raises(NotFound, match="cohort-ephys, cohort-video"):
        unmanaged_decisions.take_over(row, confirmation=NAME, people={}, actor=OPERATOR)
    unmanaged_decisions.take_over(storage, confirmation="Cohort-Storage", people={}, actor=OPERATOR)
    assert set(Analysis.objects.values_list("bucket", flat=True)) == {"cohort-ephys", "cohort-video"}
    assert Stack.objects.get(name="Cohort-Storage").is_up_to_date
    unmanaged_decisions.take_over(row, confirmation=NAME, people={ADA: "a@example.org", GRACE: "b@example.org"}, actor=OPERATOR)
    assert Group.objects.get().grants.wanted().count() == 2


@pytest.mark.parametrize("is_read", [True, False])
def test_removing_a_group_s_stack_is_a_deployment_and_its_slug_stays_taken(*, is_read: bool) -> None:
    row = waiting()
    if not is_read:
        UnmanagedResource.objects.update(manifest="", generation=0, problem="It could not be read.")
    deployment = unmanaged_decisions.remove(row, confirmation=NAME, actor=OPERATOR)
    group = Group.objects.select_related("stack").get(slug="new-lab")
    assert deployment is not None
    assert (deployment.stack, group.stack.is_retired, group.stack.is_up_to_date) == (group.stack, True, False)
    assert group.memberships.count() == 0
    assert AuditEvent.objects.filter(action="unmanaged.remove", target=NAME).exists()
    assert not UnmanagedResource.objects.exists()


def test_a_storage_stack_is_not_removed(administrator: User) -> None:
    with pytest.raises(NotDecided, match="gives nobody access"):
        unmanaged_decisions.remove(waiting(platform_manifest()), confirmation="Cohort-Storage", actor=OPERATOR)


def test_decisions_are_an_administrator_s_need_the_name_typed_and_are_made_once(ada: User, buckets: list[Analysis]) -> None:
    row, somebody = waiting(), Actor(label=ada.email, channel="web", user=ada)
    for decide in (unmanaged_decisions.remove, partial(unmanaged_decisions.take_over, people={})):
        with pytest.raises(PermissionDenied):
            decide(row, confirmation=NAME, actor=somebody)
        with pytest.raises(NotDecided, match="type Group-new-lab"):
            decide(row, confirmation="new-lab", actor=OPERATOR)
    unmanaged_decisions.remove(row, confirmation=NAME, actor=OPERATOR)
    with pytest.raises(NotDecided, match="does not wait"):
        unmanaged_decisions.remove(row, confirmation=NAME, actor=OPERATOR)


def test_the_page_shows_what_waits_and_both_decisions(client: Client, administrator: User, buckets: list[Analysis]) -> None:
    users = [{"name": f"cohort-new-lab-{ADA}", "keys": 1, "last_used_at": "2026-10-01T00:00:00+00:00"}]
    row = waiting(users=users, reach=[{"bucket": "cohort-ephys", "rights": "list, read"}])
    client.force_login(administrator)
    page = client.get("/review/").content.decode()
    for told in ("Waits for a decision", NAME, "1 key that works", "cohort-ephys"):
        assert told in page
    assert NAME in client.get("/review/csv/").getvalue().decode()
    one = client.get(f"/review/unmanaged/{row.pk}/").content.decode()
    assert f"person-{ADA}" in one
    assert "last used 2026-10-01" in one
    refused = client.post(f"/review/unmanaged/{row.pk}/remove/", {"confirmation": "yes"}, follow=True)
    assert b"is not its name" in refused.content
    form = {"confirmation": NAME, f"person-{ADA}": "ada@example.org", f"person-{GRACE}": "grace@example.org"}
    done = client.post(f"/review/unmanaged/{row.pk}/take-over/", form, follow=True)
    assert b"is taken over" in done.content
    assert Membership.objects.count() == 2
    assert "Waits for a decision" not in client.get("/review/").content.decode()


def test_a_stack_that_was_changed_after_the_backup_is_named_there_too(client: Client, administrator: User, group: Group) -> None:
    Stack.objects.filter(pk=group.stack_id).update(newer_generation=9)
    client.force_login(administrator)
    assert "AWS has generation 9" in client.get("/review/").content.decode()


def test_a_restored_database_is_compared_at_once() -> None:
    looks = ScanFactory.create()
    assert schedule.start_due_scans() == 0
    schedule.mark_restored("default")
    looks.refresh_from_db()
    assert looks.asked_at is None
    assert schedule.start_due_scans() == 1


def test_what_came_to_be_known_meanwhile_is_not_removed(monkeypatch: pytest.MonkeyPatch, group: Group, ada: User) -> None:
    settle(group.stack)
    Membership.objects.create(group=group, user=ada, username=ADA, access=Access.KEYS, added_generation=1, added_by="x")
    monkeypatch.setattr(unmanaged_removal, "_iam", lambda: pytest.fail("IAM was asked"))
    row = UnmanagedResourceFactory.create(
        kind="user", name=f"cohort-example-lab-{ADA}", path="/cohort/example-lab/", slug="example-lab", state="removing"
    )
    unmanaged_removal.remove_from_aws(row.pk)
    assert not UnmanagedResource.objects.exists()


def test_what_a_stack_that_could_not_be_read_came_to_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailable("The store is away.")

    monkeypatch.setattr(unmanaged, "_sightings", lambda: [unmanaged.Sighting("stack", NAME, "us-east-1", slug="new-lab")])
    monkeypatch.setattr(unmanaged, "read_deployed_manifest", fail)
    scan.scan_outside_groups()
    row = UnmanagedResource.objects.get()
    assert "The store is away" in row.problem
    with pytest.raises(NotDecided, match="The store is away"):
        unmanaged_decisions.take_over(row, confirmation=NAME, people={}, actor=OPERATOR)

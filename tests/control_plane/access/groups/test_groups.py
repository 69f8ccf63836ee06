"""Making groups and analyses: names, and what is refused."""

import pytest

from control_plane.access.groups import errors
from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.access.groups.services.analyses import create_analysis, grant_analysis, revoke_analysis
from control_plane.access.groups.services.groups import create_group
from control_plane.access.groups.services.platform_stack import sync_platform
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import InvalidName
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from stacks.manifest import GroupManifest, PlatformManifest, parse
from tests.factories import AnalysisFactory, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def analysis() -> Analysis:
    return AnalysisFactory.create(slug="ephys", bucket="cohort-ephys")


def test_a_group_is_asked_for_with_its_manifest_in_one_go(group: Group) -> None:
    assert group.stack.name == "Group-example-lab"
    manifest = parse(StoredManifest.objects.get(stack=group.stack).text)
    assert isinstance(manifest, GroupManifest)
    assert (manifest.slug, manifest.generation, manifest.account) == ("example-lab", 1, "111122223333")
    assert Deployment.objects.get().state == Deployment.State.QUEUED


@pytest.mark.parametrize(
    ("slug", "name", "says"),
    [
        ("example-lab", "Another", "There is a group 'example-lab' already"),
        ("other-lab", "Example Lab", "'Example Lab' already"),
        ("other-lab", "  EXAMPLE   lab ", "already"),
    ],
)
def test_a_taken_name_is_refused(group: Group, operator: Actor, slug: str, name: str, says: str) -> None:
    with pytest.raises(errors.NameTaken, match=says):
        create_group(slug=slug, name=name, actor=operator)
    assert Group.objects.count() == Stack.objects.count() == Deployment.objects.count() == 1


@pytest.mark.parametrize(
    ("slug", "name"),
    [
        ("Bad Slug", ""),
        ("admin", ""),
        ("ok-lab", "Ex\u0430mple Lab"),
        ("ok-lab", "Lab\u202egnp"),
        ("ok-lab", "x" * 121),
        ("../lab", ""),
    ],
)
def test_a_name_that_breaks_a_rule_is_refused(operator: Actor, slug: str, name: str) -> None:
    with pytest.raises(InvalidName, match="Nothing was changed"):
        create_group(slug=slug, name=name, actor=operator)
    assert not Group.objects.exists()


def test_a_name_in_another_script_is_taken(operator: Actor) -> None:
    assert create_group(slug="kyoto-lab", name="\u4eac\u90fd\u5927\u5b66", actor=operator)[0].name == "\u4eac\u90fd\u5927\u5b66"


def test_an_analysis_asks_for_its_bucket(analysis: Analysis) -> None:
    manifest = parse(StoredManifest.objects.get(stack=analysis.stack).text)
    assert isinstance(manifest, PlatformManifest)
    assert manifest.buckets == ("cohort-ephys",)
    assert manifest.origins == ("http://localhost:8000",)


@pytest.mark.parametrize(("slug", "bucket"), [("ephys", "other-bucket"), ("other", "cohort-ephys")])
def test_a_taken_analysis_or_bucket_is_refused(analysis: Analysis, operator: Actor, slug: str, bucket: str) -> None:
    with pytest.raises(errors.NameTaken, match="Nothing was changed"):
        create_analysis(slug=slug, bucket=bucket, actor=operator)
    assert Analysis.objects.count() == 1


@pytest.mark.parametrize("bucket", ["theirs", "cohort", "cohort-backups-mine", "cohort-state-111122223333-us-east-1"])
def test_a_bucket_that_no_group_could_reach_is_refused(operator: Actor, bucket: str) -> None:
    with pytest.raises(InvalidName, match=r"BUCKET_PATTERNS|Cohort itself keeps"):
        create_analysis(slug="ephys", bucket=bucket, actor=operator)
    assert not Analysis.objects.exists()


def test_a_grant_changes_level_and_ends(group: Group, analysis: Analysis, operator: Actor) -> None:
    grant_analysis(analysis=analysis, group=group, level=Grant.Level.READ_ONLY, actor=operator)
    with pytest.raises(errors.AlreadyGranted):
        grant_analysis(analysis=analysis, group=group, level=Grant.Level.READ_ONLY, actor=operator)
    grant_analysis(analysis=analysis, group=group, level=Grant.Level.READ_WRITE, actor=operator)
    assert Grant.objects.wanted().get().level == Grant.Level.READ_WRITE
    revoke_analysis(analysis=analysis, group=group, actor=operator)
    with pytest.raises(errors.NotGranted):
        revoke_analysis(analysis=analysis, group=group, actor=operator)


def test_the_platform_is_asked_for_once(operator: Actor) -> None:
    (first,) = sync_platform(actor=operator)
    assert sync_platform(actor=operator) == [first]
    settle(first.stack)
    assert sync_platform(actor=operator) == []


def test_a_platform_that_failed_is_asked_for_again(operator: Actor) -> None:
    (first,) = sync_platform(actor=operator)
    Deployment.objects.update(state=Deployment.State.FAILED)
    (again,) = sync_platform(actor=operator)
    assert again.pk != first.pk

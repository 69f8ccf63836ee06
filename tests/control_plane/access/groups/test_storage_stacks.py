"""More analyses than one storage stack holds: a new one goes into the first stack with room, and none ever leaves its own."""

import json

import pytest
from django.utils import timezone

from control_plane.access.groups.models import Analysis
from control_plane.access.groups.services.platform_stack import platform_stack, sync_platform
from control_plane.access.limits.models import Usage
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import LimitReached
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from control_plane.research.analyses.retiring import request_retirement
from stacks import names
from stacks.manifest import MAX_BUCKETS, MAX_STORAGE_STACKS, PlatformManifest, parse
from tests.factories import AnalysisFactory, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage stack holds two buckets."""
    monkeypatch.setattr(f"{platform_stack.__module__}.MAX_BUCKETS", 2)


def make(slug: str) -> str:
    """Make an analysis. Returns its storage stack's name."""
    return AnalysisFactory.create(slug=slug, bucket=f"cohort-{slug}").stack.name


def manifest_of(name: str) -> PlatformManifest:
    manifest = parse(StoredManifest.objects.filter(stack__name=name).order_by("-generation")[0].text)
    assert isinstance(manifest, PlatformManifest)
    return manifest


def fill(stack: Stack, many: int) -> None:
    Analysis.objects.bulk_create(
        Analysis(slug=f"a-{number}", name=f"A {number}", bucket=f"cohort-{number}", stack=stack, added_generation=1)
        for number in range(many)
    )


def test_the_201st_analysis_goes_into_a_further_stack_and_the_first_one_is_not_touched() -> None:
    fill(platform_stack(), MAX_BUCKETS - 1)
    assert make("last") == "Cohort-Storage"
    before = manifest_of("Cohort-Storage")
    assert make("one-more") == "Cohort-Storage-2"
    further = manifest_of("Cohort-Storage-2")
    assert (further.number, further.generation, further.buckets) == (2, 1, ("cohort-one-more",))
    assert (further.account, further.region, further.origins) == (before.account, before.region, before.origins)
    assert manifest_of("Cohort-Storage") == before
    assert len(before.buckets) == MAX_BUCKETS


@pytest.mark.usefixtures("small")
def test_an_analysis_stays_in_its_stack_whatever_comes_after_it() -> None:
    made = {slug: make(slug) for slug in ("a1", "a2", "b1", "b2", "c1")}
    assert list(made.values()) == ["Cohort-Storage"] * 2 + ["Cohort-Storage-2"] * 2 + ["Cohort-Storage-3"]
    assert {analysis.slug: analysis.stack.name for analysis in Analysis.objects.select_related("stack")} == made
    assert manifest_of("Cohort-Storage-2").buckets == ("cohort-b1", "cohort-b2")


@pytest.mark.usefixtures("small")
def test_the_room_of_a_retired_analysis_is_used_again(operator: Actor) -> None:
    for slug in ("a1", "a2", "b1"):
        make(slug)
    settle(platform_stack())
    request_retirement(analysis=Analysis.objects.get(slug="a1"), confirmation="cohort-a1", actor=operator, at_once=True)
    assert make("a3") == "Cohort-Storage"
    assert manifest_of("Cohort-Storage").buckets == ("cohort-a2", "cohort-a3")


@pytest.mark.usefixtures("small")
def test_another_address_of_the_site_reaches_the_buckets_of_every_stack(operator: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    for slug in ("a1", "a2", "b1"):
        make(slug)
    for stack in Stack.objects.all():
        settle(stack)
    assert sync_platform(actor=operator) == []
    monkeypatch.setattr(f"{platform_stack.__module__}.origins", lambda: ("https://elsewhere.example.org",))
    assert [deployment.stack.name for deployment in sync_platform(actor=operator)] == ["Cohort-Storage", "Cohort-Storage-2"]
    for name in ("Cohort-Storage", "Cohort-Storage-2"):
        assert manifest_of(name).origins == ("https://elsewhere.example.org",)


def test_a_site_with_one_stack_is_not_deployed_again_because_others_can_follow(operator: Actor) -> None:
    make("a1")
    stack = platform_stack()
    settle(stack)
    older = StoredManifest.objects.get(stack=stack)
    document = json.loads(older.text)
    # As a release that knew one storage stack alone wrote it.
    del document["number"]
    StoredManifest.objects.filter(pk=older.pk).update(text=json.dumps(document, indent=2, sort_keys=True) + "\n")
    assert sync_platform(actor=operator) == []
    assert not Deployment.objects.open().exists()


@pytest.mark.usefixtures("small")
def test_a_further_stack_is_refused_where_the_account_has_room_for_none() -> None:
    make("a1")
    make("a2")
    place = {"account": platform_stack().account, "region": platform_stack().region}
    Usage.objects.create(name="cloudformation-stacks", used=2000, limit=2000, read_at=timezone.now(), **place)
    with pytest.raises(LimitReached, match=r"2,00\d CloudFormation stacks.*Nothing was changed"):
        make("b1")
    assert Analysis.objects.count() == 2
    assert list(Stack.objects.values_list("name", flat=True)) == ["Cohort-Storage"]


def test_there_is_an_end_to_further_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{platform_stack.__module__}.MAX_BUCKETS", 0)
    stack = platform_stack()
    Stack.objects.filter(pk=stack.pk).update(name=names.storage_stack(MAX_STORAGE_STACKS))
    platform_stack()
    with pytest.raises(LimitReached, match=r"less than or equal to 50.*Nothing was changed"):
        make("a1")
    assert not Analysis.objects.exists()

"""EARLIER_VERSIONS_DAYS: counted before it ends anything, confirmed in words, and otherwise without effect."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import boto3
import pytest
from django.core.management import CommandError, call_command
from moto import mock_aws
from moto.s3.models import s3_backends

from control_plane.access.groups.models import Analysis
from control_plane.access.groups.services.analyses import create_analysis
from control_plane.access.groups.services.earlier_versions import kept_days
from control_plane.access.groups.services.renewal import renew_all
from control_plane.base.audit.models import AuditEvent
from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.deployments.cancelling import cancel
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from control_plane.deployments.plans import Plan, needs_approval
from control_plane.deployments.requests import deploy_ours
from control_plane.research.storage import earlier_versions
from control_plane.research.storage.earlier_versions import count_expiring, expires_at
from stacks.manifest import PlatformManifest, parse
from tests.actors import OPERATOR
from tests.factories import AnalysisFactory, settle
from web.deployments.plan_table import shown_plan

PLACE = Place("111122223333", "us-east-1")

BUCKET = "cohort-ephys"
NOW = datetime.now(UTC).replace(microsecond=0)
SetDays = Callable[[int | None], None]

pytestmark = pytest.mark.django_db


@pytest.fixture
def set_days(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetDays]:
    def change(days: int | None) -> None:
        monkeypatch.setenv("EARLIER_VERSIONS_DAYS", "" if days is None else str(days))
        config.cache_clear()

    yield change
    monkeypatch.undo()
    config.cache_clear()


@pytest.fixture
def bucket(set_days: SetDays) -> Iterator[Any]:
    """An analysis whose bucket is deployed, and that bucket: a file kept, one deleted, one replaced twice."""
    with mock_aws():
        s3 = boto3.client("s3")
        AnalysisFactory.create(slug="ephys", bucket=BUCKET, deployed=True)
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        for key, bodies in {"lab/kept": ["12345"], "lab/gone": ["1234"], "lab/changed": ["1", "12", "123"]}.items():
            for body in bodies:
                s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode())
        s3.delete_object(Bucket=BUCKET, Key="lab/gone")
        age("lab/kept", 500)
        age("lab/gone", 400, 100)
        age("lab/changed", 300, 200, 10)
        yield s3


def age(key: str, *days: int) -> None:
    """Let the versions of a key, the oldest first, be so many days old."""
    found = s3_backends["123456789012"]["aws"].buckets[BUCKET].keys.getlist(key)
    assert len(found) == len(days)
    for one, many in zip(found, days, strict=True):
        one.last_modified = (NOW - timedelta(days=many)).replace(tzinfo=None)


def manifest() -> PlatformManifest:
    found = parse(StoredManifest.objects.filter(stack__name="Cohort-Storage").order_by("-generation")[0].text)
    assert isinstance(found, PlatformManifest)
    return found


def sync(*words: str) -> Any:
    output = StringIO()
    call_command("platform", "sync", *words, "--json", stdout=output, stderr=StringIO())
    return json.loads(output.getvalue())


def confirmed(days: int) -> None:
    """Have it confirmed and deployed."""
    sync("--confirm", f"end after {days} days")
    settle(Stack.objects.get(name="Cohort-Storage"))


def test_what_would_end_is_counted_and_said(bucket: Any, set_days: SetDays) -> None:
    set_days(30)
    said = StringIO()
    with pytest.raises(CommandError) as refused:
        call_command("platform", "sync", stdout=StringIO(), stderr=said)
    assert "EARLIER_VERSIONS_DAYS=30" in said.getvalue()
    assert "3 earlier versions and deleted files, 7 bytes." in said.getvalue(), "4 + 1 + 2: neither the kept file nor a marker"
    assert f"deleted or replaced on {NOW - timedelta(days=200):%Y-%m-%d}" in said.getvalue()
    assert "2 of them (5 bytes) are over their days already" in said.getvalue(), "one was replaced ten days ago"
    assert "nothing was changed" in str(refused.value)
    assert '--confirm "end after 30 days"' in str(refused.value)
    assert refused.value.returncode == 2


def test_a_count_goes_on_over_the_pages_of_s3_and_tells_how_far_it_is(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(25):
        bucket.put_object(Bucket=BUCKET, Key="lab/often", Body=b"x" * (number % 2))
    age("lab/often", *range(2000, 1975, -1))
    monkeypatch.setattr(earlier_versions, "VERSIONS_PER_PAGE", 2)
    told: list[str] = []
    found = count_expiring([BUCKET, "cohort-not-made"], 1985, place=PLACE, tell=told.append)
    assert (found.objects, found.bytes) == (3 + 24, 7 + 12)
    assert found.oldest == NOW - timedelta(days=1999), "the oldest was replaced when the second was written"
    # One that was replaced 1985 days ago is over at the next midnight, those of the days before are over already.
    assert found.due_objects == 1999 - 1985
    assert any("earlier versions so far" in line for line in told)
    monkeypatch.setattr(earlier_versions, "MAX_COUNTED", 10)
    assert count_expiring([BUCKET], 30, place=PLACE, tell=told.append).is_more


def test_days_are_over_at_the_first_midnight_after_them() -> None:
    """S3 user guide, "Lifecycle rules based on an object's age": its own example."""
    assert expires_at(datetime(2014, 1, 15, 10, 30, tzinfo=UTC), 3) == datetime(2014, 1, 19, tzinfo=UTC)
    assert expires_at(datetime(2014, 1, 15, tzinfo=UTC), 3) == datetime(2014, 1, 18, tzinfo=UTC)


@pytest.mark.parametrize("words", [(), ("--confirm", "yes"), ("--confirm", "end after 90 days"), ("--confirm", "")])
def test_without_the_confirmation_nothing_changes(bucket: Any, set_days: SetDays, words: tuple[str, ...]) -> None:
    set_days(30)
    generation = manifest().generation
    with pytest.raises(CommandError, match="Not confirmed"):
        sync(*words)
    assert (manifest().generation, manifest().earlier_versions_days) == (generation, None)
    assert not AuditEvent.objects.filter(action="platform.end_earlier_versions").exists()


def test_the_confirmation_deploys_it_and_is_recorded(bucket: Any, set_days: SetDays) -> None:
    set_days(30)
    document = sync("--confirm", "end after 30 days")
    assert document["stacks"] == ["Cohort-Storage"]
    assert document["earlier_versions"]["objects"] == 3
    assert manifest().earlier_versions_days == 30
    event = AuditEvent.objects.get(action="platform.end_earlier_versions")
    assert {name: event.details[name] for name in ("days", "objects", "bytes")} == {"days": 30, "objects": 3, "bytes": 7}
    settle(Stack.objects.get(name="Cohort-Storage"))
    assert sync()["stacks"] == [], "what was confirmed once is not asked again"


@pytest.mark.parametrize(("typed", "days"), [("end after 30 days\n", 30), ("end\n", None), ("", None)])
def test_somebody_at_a_terminal_types_it(
    bucket: Any, set_days: SetDays, monkeypatch: pytest.MonkeyPatch, typed: str, days: int | None
) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    set_days(30)
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    if days:
        sync()
    else:
        with pytest.raises(CommandError, match="Not confirmed"):
            sync()
    assert manifest().earlier_versions_days == days


def test_no_other_deployment_brings_what_nobody_confirmed(bucket: Any, set_days: SetDays) -> None:
    set_days(30)
    renew_all(actor=OPERATOR)
    assert manifest().earlier_versions_days is None
    create_analysis(slug="video", bucket="cohort-video", actor=OPERATOR)
    assert manifest().earlier_versions_days is None
    assert "video" in {analysis.slug for analysis in Analysis.objects.all()}
    output = StringIO()
    call_command("platform", "sync", "--keep-earlier-versions", stdout=output, stderr=StringIO())
    assert "Earlier versions are kept as before: EARLIER_VERSIONS_DAYS=30" in output.getvalue()
    assert manifest().earlier_versions_days is None


def test_keeping_longer_is_not_asked_and_fewer_days_are(bucket: Any, set_days: SetDays) -> None:
    set_days(30)
    confirmed(30)
    set_days(90)
    sync()
    assert manifest().earlier_versions_days == 90
    set_days(60)
    with pytest.raises(CommandError, match="Not confirmed"):
        sync()
    set_days(None)
    sync()
    assert manifest().earlier_versions_days is None
    set_days(90)
    with pytest.raises(CommandError, match="Not confirmed"):
        sync()


def test_a_site_without_buckets_has_nothing_to_confirm(set_days: SetDays) -> None:
    set_days(30)
    sync()
    create_analysis_without_asking()
    assert manifest().buckets == (BUCKET,)
    assert manifest().earlier_versions_days == 30


def create_analysis_without_asking() -> None:
    with mock_aws():
        AnalysisFactory.create(slug="ephys", bucket=BUCKET)


def test_who_cancels_the_deployment_takes_the_days_back(bucket: Any, set_days: SetDays) -> None:
    set_days(30)
    sync("--confirm", "end after 30 days")
    cancelled = cancel(Deployment.objects.open().get(), actor=OPERATOR)
    assert "Deleted files and earlier versions" in cancelled.advice
    assert manifest().earlier_versions_days is None
    create_analysis(slug="video", bucket="cohort-video", actor=OPERATOR)
    assert manifest().earlier_versions_days is None, "and it does not come with the next run"


def test_a_restored_database_does_not_shorten_them(bucket: Any, set_days: SetDays, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("COHORT_MANIFEST_STORE", str(tmp_path))
    set_days(30)
    confirmed(30)
    # After the backup they were kept for ever again, which AWS holds.
    kept = manifest().model_copy(update={"generation": 9, "earlier_versions_days": None})
    (tmp_path / "platform.json").write_text(kept.to_json())
    stack = Stack.objects.get(name="Cohort-Storage")
    Stack.objects.filter(pk=stack.pk).update(newer_generation=9)
    deploy_ours(stack, actor=OPERATOR)
    assert manifest().earlier_versions_days is None


def test_ending_earlier_versions_is_shown_as_that_and_waits_for_a_second_administrator(
    bucket: Any, set_days: SetDays, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = manifest().to_json()
    set_days(30)
    sync("--confirm", "end after 30 days")
    plan = Plan().for_manifests(before, manifest().to_json())
    shown = shown_plan(plan.to_json())
    assert shown.verdict == "Ends data for good that AWS keeps now."
    (row,) = shown.sections[0].rows
    assert f"{row.name} {row.what}" == "Deleted files and earlier versions are kept (for 30 days)"
    assert row.widens_how == "ends data for good"
    monkeypatch.setenv("REQUIRE_APPROVAL", "broadening")
    config.cache_clear()
    assert needs_approval(Deployment.objects.open().get(), plan)
    back = Plan().for_manifests(manifest().to_json(), before)
    assert not needs_approval(Deployment.objects.open().get(), back)


def test_a_page_says_what_aws_holds_and_not_what_is_wanted(bucket: Any, set_days: SetDays) -> None:
    analysis = Analysis.objects.get(slug="ephys")
    set_days(30)
    sync("--confirm", "end after 30 days")
    assert kept_days(analysis) is None, "it is not deployed yet"
    settle(analysis.stack)
    assert kept_days(analysis) == 30


def test_what_cannot_be_counted_changes_nothing(bucket: Any, set_days: SetDays, monkeypatch: pytest.MonkeyPatch) -> None:
    set_days(30)
    refuse_listing(monkeypatch)
    with pytest.raises(CommandError, match=r"could not be counted.*Nothing was changed"):
        sync("--confirm", "end after 30 days")
    assert manifest().earlier_versions_days is None


def refuse_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.client import BaseClient
    from botocore.exceptions import ClientError

    call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def make(self: Any, name: str, parameters: Any) -> Any:
        if name == "ListObjectVersions":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, name)
        return call(self, name, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", make)

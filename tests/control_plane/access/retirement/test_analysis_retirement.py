"""Analyses that end: refused while in use, undone while there is time, and the bucket kept, or emptied and deleted."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from moto import mock_aws

from control_plane.access.groups.errors import AnalysisRetired, NameTaken
from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.access.groups.services.analyses import create_analysis, grant_analysis, revoke_analysis
from control_plane.access.retirement import bucket_cleanup, leases, s3
from control_plane.access.retirement.errors import RetirementRefused
from control_plane.access.retirement.inventory import buckets_of
from control_plane.access.retirement.models import AnalysisRetirement, BucketChoice
from control_plane.access.retirement.schedule import continue_retirements
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.models import Deployment, StoredManifest
from control_plane.research.analyses.retiring import request_retirement, undo_retirement
from control_plane.research.catalogue import grants, requests
from control_plane.research.jobs.models import Job
from stacks.manifest import PlatformManifest, parse
from tests.actors import OPERATOR
from tests.factories import AnalysisFactory, GrantFactory, JobFactory, MembershipFactory, settle

pytestmark = pytest.mark.django_db
State = AnalysisRetirement.State
BUCKET = "cohort-epi"


@pytest.fixture
def made(epi: Analysis) -> Analysis:
    """An analysis whose bucket AWS has made, beside another."""
    AnalysisFactory.create(slug="other", bucket="cohort-other")
    settle(epi.stack)
    return epi


@pytest.fixture
def bucket() -> Iterator[Any]:
    """The analysis's bucket with objects of three kinds, and another analysis's."""
    with mock_aws():
        s3.client.cache_clear()
        client = boto3.client("s3", region_name="us-east-1")
        for name in (BUCKET, "cohort-other"):
            client.create_bucket(Bucket=name)
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
            for number in range(4):
                client.put_object(Bucket=name, Key=f"lab-{number}/inputs/a.csv", Body=b"1234")
        client.put_object(Bucket=BUCKET, Key="lab-0/inputs/a.csv", Body=b"12345")
        client.delete_object(Bucket=BUCKET, Key="lab-1/inputs/a.csv")
        client.create_multipart_upload(Bucket=BUCKET, Key="lab-2/inputs/half.bin")
        yield client
    s3.client.cache_clear()


def acting(user: User) -> Actor:
    return Actor(user.email, "web", user)


def ask_for(analysis: Analysis, choice: BucketChoice = BucketChoice.KEEP, **more: Any) -> AnalysisRetirement:
    return request_retirement(analysis=analysis, confirmation=analysis.bucket, bucket=choice, actor=OPERATOR, **more)


def buckets_wanted(analysis: Analysis) -> tuple[str, ...]:
    manifest = parse(StoredManifest.objects.filter(stack=analysis.stack).order_by("-generation")[0].text)
    assert isinstance(manifest, PlatformManifest)
    return manifest.buckets


def carry_out(retirement: AnalysisRetirement) -> AnalysisRetirement:
    """Due, begun, and as if AWS had let go of the bucket."""
    AnalysisRetirement.objects.filter(pk=retirement.pk).update(due_at=timezone.now())
    continue_retirements()
    settle(retirement.analysis.stack)
    continue_retirements()
    retirement.refresh_from_db()
    return retirement


def work_to_the_end(retirement: AnalysisRetirement) -> None:
    slices = 0
    retirement.refresh_from_db()
    while retirement.state == State.EMPTYING:
        bucket_cleanup.clean_up_bucket(retirement.pk)
        retirement.refresh_from_db()
        slices += 1
        assert slices < 50


def exists(client: Any, name: str) -> bool:
    try:
        client.head_bucket(Bucket=name)
    except ClientError:
        return False
    return True


def test_it_is_not_offered_from_the_moment_that_it_is_asked_for(made: Analysis, group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada)
    retirement = ask_for(made)
    assert (retirement.state, retirement.due_at > timezone.now() + timedelta(days=6)) == (State.WAITING, True)
    assert BUCKET in buckets_wanted(made), "its bucket stays where it is while this can be undone"
    with pytest.raises(AnalysisRetired, match=r"epi is retired since .*Nothing was changed"):
        grant_analysis(analysis=made, group=group, level=Grant.Level.READ_ONLY, actor=OPERATOR)
    with pytest.raises(AnalysisRetired):
        grants.grant_many(analyses=[made], groups=[group], level=Grant.Level.READ_ONLY, actor=OPERATOR)
    with pytest.raises(AnalysisRetired):
        requests.request_analysis(group=group, analysis=made, reason="", actor=acting(ada))
    for which in ("all", "default"):
        assert [analyse.slug for analyse in grants.select_analyses(which)] == ["other"]
    assert not Grant.objects.exists()


def test_undone_it_is_offered_as_before(made: Analysis, group: Group) -> None:
    ask_for(made)
    generation = made.stack.generation
    assert undo_retirement(analysis=made, actor=OPERATOR).state == State.UNDONE
    GrantFactory.create(group=group, analysis=made, read_only=True)
    made.stack.refresh_from_db()
    assert made.stack.generation == generation, "nothing had to be deployed"
    assert list(AuditEvent.objects.filter(target="analysis epi").order_by("pk").values_list("action", flat=True)) == [
        "analysis.create",
        "analysis.retire",
        "analysis.unretire",
    ]
    with pytest.raises(RetirementRefused, match="is not being retired"):
        undo_retirement(analysis=made, actor=OPERATOR)


def test_it_is_refused_while_a_group_has_it_or_aws_lets_one_use_it_still(made: Analysis, group: Group) -> None:
    GrantFactory.create(group=group, analysis=made, read_only=True, deployed=True)
    with pytest.raises(RetirementRefused, match=r"epi is granted to Example Lab\. Nothing was changed; revoke it"):
        ask_for(made)
    group.stack.refresh_from_db()
    revoke_analysis(analysis=made, group=group, actor=OPERATOR)
    with pytest.raises(RetirementRefused, match=r"AWS still lets Example Lab use epi"):
        ask_for(made)
    settle(group.stack)
    assert ask_for(made).state == State.WAITING


def test_it_is_refused_while_a_group_asks_for_it(made: Analysis, group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada)
    asked = requests.request_analysis(group=group, analysis=made, reason="", actor=acting(ada))
    with pytest.raises(RetirementRefused, match=r"Example Lab asked to use epi\. Nothing was changed"):
        ask_for(made)
    requests.decline(asked, note="", actor=OPERATOR)
    assert ask_for(made).state == State.WAITING


@pytest.mark.parametrize("state", [Job.State.SUBMITTED, Job.State.RUNNING, Job.State.SILENT])
def test_it_is_refused_while_jobs_run(made: Analysis, group: Group, ada: User, state: Job.State) -> None:
    job = JobFactory.create(group=group, analysis=made, submitted_by=ada, state=state)
    with pytest.raises(RetirementRefused, match=r"1 job has not ended in epi\. Nothing was changed"):
        ask_for(made)
    Job.objects.filter(pk=job.pk).update(state=Job.State.ENDED)
    assert ask_for(made).state == State.WAITING


def test_a_bucket_that_aws_did_not_make_for_us_is_never_emptied(epi: Analysis, bucket: Any) -> None:
    """Somebody's own bucket of that name in the account makes the deployment fail; it is theirs all the same."""
    Deployment.objects.open().update(state=Deployment.State.FAILED)
    for choice in BucketChoice:
        with pytest.raises(RetirementRefused, match=r"AWS has not made cohort-epi yet\. Nothing was changed"):
            ask_for(epi, choice, at_once=True)
    continue_retirements()
    assert len(bucket.list_object_versions(Bucket=BUCKET)["Versions"]) == 5


def test_what_aws_could_not_make_is_never_emptied(made: Analysis) -> None:
    """Whoever has the name has a bucket that is not ours, in this account or in another."""
    Analysis.objects.filter(pk=made.pk).update(unmade_reason="The bucket is there already.")
    with pytest.raises(RetirementRefused, match="there is nothing to retire"):
        ask_for(made, BucketChoice.DELETE)
    assert not AnalysisRetirement.objects.exists()


@pytest.mark.parametrize("confirmation", ["", "epi", "cohort-other", "cohort-epi-2"])
def test_another_name_confirms_nothing(made: Analysis, confirmation: str) -> None:
    with pytest.raises(RetirementRefused, match="type cohort-epi to confirm"):
        request_retirement(analysis=made, confirmation=confirmation, actor=OPERATOR)
    assert not AnalysisRetirement.objects.exists()


def test_only_administrators_and_at_once_only_from_the_terminal(made: Analysis, ada: User, administrator: User) -> None:
    for act in (
        lambda: request_retirement(analysis=made, confirmation=BUCKET, actor=acting(ada)),
        lambda: undo_retirement(analysis=made, actor=acting(ada)),
    ):
        with pytest.raises(PermissionDenied):
            act()
    with pytest.raises(RetirementRefused, match="from the terminal alone"):
        request_retirement(analysis=made, confirmation=BUCKET, actor=acting(administrator), at_once=True)
    ask_for(made)
    with pytest.raises(AnalysisRetired):
        ask_for(made)


def test_a_kept_bucket_leaves_its_stack_untouched_and_its_names_stay_taken(made: Analysis, bucket: Any) -> None:
    retirement = carry_out(ask_for(made))
    assert retirement.state == State.DONE
    assert buckets_wanted(made) == ("cohort-other",)
    assert len(bucket.list_object_versions(Bucket=BUCKET)["Versions"]) == 5
    with pytest.raises(RetirementRefused, match=r"cannot be undone.*aws s3 sync s3://cohort-epi s3://<new bucket>"):
        undo_retirement(analysis=made, actor=OPERATOR)
    for slug, name in (("epi", "cohort-new"), ("new", BUCKET)):
        with pytest.raises(NameTaken):
            create_analysis(slug=slug, bucket=name, actor=OPERATOR)


def test_a_deleted_bucket_is_gone_with_every_version_and_upload_and_no_other_is_touched(made: Analysis, bucket: Any) -> None:
    retirement = carry_out(ask_for(made, BucketChoice.DELETE))
    assert retirement.state == State.EMPTYING
    assert exists(bucket, BUCKET)
    work_to_the_end(retirement)
    assert (retirement.state, retirement.objects_done, retirement.bytes_done) == (State.DONE, 6, 21)
    assert not exists(bucket, BUCKET)
    assert len(bucket.list_objects_v2(Bucket="cohort-other")["Contents"]) == 4
    assert AuditEvent.objects.get(action="analysis.retired").details["objects"] == 6


def test_nothing_is_deleted_before_aws_has_let_go_of_the_bucket(made: Analysis, bucket: Any) -> None:
    retirement = ask_for(made, BucketChoice.DELETE, at_once=True)
    continue_retirements()
    assert retirement.deployment_id is not None
    Deployment.objects.filter(pk=retirement.deployment_id).update(
        state=Deployment.State.FAILED, error="AWS said no.", advice="Look."
    )
    continue_retirements()
    bucket_cleanup.clean_up_bucket(retirement.pk)
    retirement.refresh_from_db()
    assert retirement.state == State.REMOVING
    assert len(bucket.list_object_versions(Bucket=BUCKET)["Versions"]) == 5


def test_a_worker_that_dies_amid_a_bucket_is_followed_by_another(
    made: Analysis, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PER_CALL", 2)
    retirement = carry_out(ask_for(made, BucketChoice.DELETE))
    steps, real = iter(range(100)), bucket_cleanup._step

    def dying(*arguments: Any) -> bool:
        if next(steps) == 1:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(bucket_cleanup, "_step", dying)
    with pytest.raises(KeyboardInterrupt):
        bucket_cleanup.clean_up_bucket(retirement.pk)
    bucket_cleanup.clean_up_bucket(retirement.pk)
    retirement.refresh_from_db()
    assert retirement.objects_done == 2, "the dead worker's lease holds still"
    AnalysisRetirement.objects.filter(pk=retirement.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    work_to_the_end(retirement)
    assert (retirement.state, retirement.objects_done) == (State.DONE, 6)
    assert not exists(bucket, BUCKET)


def test_a_large_bucket_is_emptied_in_short_slices(made: Analysis, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PER_CALL", 2)
    monkeypatch.setattr(leases, "SLICE_SECONDS", 0.0)
    retirement = carry_out(ask_for(made, BucketChoice.DELETE))
    bucket_cleanup.clean_up_bucket(retirement.pk)
    retirement.refresh_from_db()
    assert (retirement.state, retirement.lease_owner) == (State.EMPTYING, "")
    assert retirement.objects_done < 6
    monkeypatch.setattr(leases, "SLICE_SECONDS", 15.0)
    work_to_the_end(retirement)
    assert not exists(bucket, BUCKET)


def test_what_is_written_meanwhile_is_told_and_removed_too(made: Analysis, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    retirement = carry_out(ask_for(made, BucketChoice.DELETE))
    real = s3.delete_bucket

    def late(*arguments: Any) -> None:
        bucket.put_object(Bucket=BUCKET, Key="lab-3/results/late.csv", Body=b"1")
        real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(s3, "delete_bucket", late)
        bucket_cleanup.clean_up_bucket(retirement.pk)
    retirement.refresh_from_db()
    assert retirement.state == State.EMPTYING
    assert "cohort-epi is not empty: something wrote to it" in retirement.error
    assert retirement.not_before is not None
    work_to_the_end(retirement)
    assert (retirement.error, exists(bucket, BUCKET)) == ("", False)


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_holds_nothing_up() -> None:
    never = AnalysisFactory.create(slug="never", bucket="cohort-never", deployed=True)
    retirement = carry_out(ask_for(never, BucketChoice.DELETE))
    work_to_the_end(retirement)
    assert retirement.state == State.DONE


def test_a_group_that_ends_later_does_not_ask_for_a_bucket_that_was_deleted(made: Analysis, group: Group, bucket: Any) -> None:
    GrantFactory.create(group=group, analysis=made, read_only=True)
    group.stack.refresh_from_db()
    revoke_analysis(analysis=made, group=group, actor=OPERATOR)
    settle(group.stack)
    retirement = carry_out(ask_for(made, BucketChoice.DELETE))
    assert buckets_of(group) == [BUCKET]
    work_to_the_end(retirement)
    assert buckets_of(group) == []


def test_the_command_asks_tells_and_undoes(made: Analysis, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("retire_analysis", "ask", "epi", "--confirm", BUCKET, "--bucket", "delete", "--json")
    told = json.loads(capsys.readouterr().out)["retirement"]
    assert (told["state"], told["choice"], told["bucket"]) == ("waiting", "delete", BUCKET)
    call_command("analysis", "list")
    assert f"Cohort-Storage  retired {made.created_at:%Y}" in capsys.readouterr().out
    call_command("retire_analysis", "undo", "epi")
    assert "was undone by" in capsys.readouterr().out
    call_command("retire_analysis", "status", "epi")
    assert "was undone by" in capsys.readouterr().out
    with pytest.raises(CommandError, match="Nobody has asked for other to be retired"):
        call_command("retire_analysis", "status", "other")


def test_the_page_asks_shows_and_undoes(made: Analysis, administrator: User, client: Client) -> None:
    client.force_login(administrator)
    listed = client.get("/admin/groups/analysis/").content.decode()
    assert f"/admin/groups/analysis/{made.pk}/retire-row" in listed
    page = f"/admin/groups/analysis/{made.pk}/retire/"
    assert "Type cohort-epi to confirm" in client.get(page).content.decode()
    refused = client.post(page, {"bucket": "delete", "confirmation": "epi"})
    assert (refused.status_code, AnalysisRetirement.objects.exists()) == (422, False)
    assert "is not the name of the analysis" in refused.content.decode()
    shown = client.post(page, {"bucket": "delete", "confirmation": BUCKET}, follow=True).content.decode()
    assert 'data-state="waiting"' in shown
    assert "Undo: keep the analysis" in shown
    assert client.get(f"{page}undo/").status_code == 405
    assert "was undone by" in client.post(f"{page}undo/", follow=True).content.decode()
    carry_out(ask_for(made))
    assert "aws s3 sync s3://cohort-epi" in client.get(f"{page}live/").content.decode()
    assert "▣ retired since" in client.get("/admin/groups/analysis/").content.decode()


def test_members_see_that_it_is_retired_and_nothing_of_the_page(made: Analysis, ada: User, client: Client, group: Group) -> None:
    MembershipFactory.create(group=group, user=ada)
    ask_for(made)
    client.force_login(ada)
    assert "epi" not in client.get("/analyses/").content.decode()
    shown = client.get("/analyses/epi/").content.decode()
    assert "no group can be granted it" in shown
    assert "Request access" not in shown
    for path in ("", "live/", "undo/"):
        answer = client.post(f"/admin/groups/analysis/{made.pk}/retire/{path}", {"bucket": "keep", "confirmation": BUCKET})
        assert answer.status_code in (302, 403, 405)
    assert AnalysisRetirement.objects.get().state == State.WAITING

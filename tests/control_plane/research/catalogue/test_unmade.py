"""An analysis whose bucket AWS cannot make stops no other: it is left out, and tried again, renamed or removed."""

import json

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django_tasks_db.models import DBTaskResult

from control_plane.access.groups.errors import BucketMade, BucketNotMade, BucketTaken, NameTaken
from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.access.groups.services import bucket_names
from control_plane.access.groups.services.analyses import grant_analysis, revoke_analysis
from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from control_plane.base.errors import InvalidName, Refused
from control_plane.deployments.engine import outcomes
from control_plane.deployments.failures import FailedResource, problem_from_resource
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from control_plane.research.catalogue.grants import select_analyses
from control_plane.research.catalogue.models import AccessRequest
from control_plane.research.catalogue.requests import request_analysis
from control_plane.research.catalogue.unmade import leave_out, remove_analysis, rename_bucket, try_again
from stacks import names
from stacks.manifest import parse
from tests.actors import OPERATOR, actor_of, client_of
from tests.control_plane.account_pages import text_of
from tests.factories import AnalysisFactory, EntryFactory, GrantFactory, MembershipFactory, settle

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]

TAKEN = "cohort-taken already exists"
READ_WRITE = Grant.Level.READ_WRITE


@pytest.fixture
def made(db: None) -> Analysis:
    analysis: Analysis = AnalysisFactory.create(slug="made", bucket="cohort-made")
    settle(analysis.stack)
    return analysis


@pytest.fixture
def taken(made: Analysis) -> Analysis:
    """Its bucket is asked for, and will not be made."""
    return AnalysisFactory.create(slug="taken", name="Taken One", bucket="cohort-taken")


@pytest.fixture
def left_out(taken: Analysis) -> Analysis:
    """AWS could not make it."""
    fail(taken)
    taken.refresh_from_db()
    return taken


def fail(analysis: Analysis, reason: str = TAKEN) -> None:
    """The run that was to make its bucket ends, and a worker does what follows."""
    Deployment.objects.open().filter(stack=analysis.stack).update(state=Deployment.State.FAILED)
    leave_out(analysis.stack_id, {names.bucket_logical_id(analysis.bucket): reason})


def wanted(stack: Stack) -> tuple[str, ...]:
    """What the newest manifest of the stack asks AWS for."""
    newest = parse(StoredManifest.objects.filter(stack=stack).order_by("-generation")[0].text)
    return tuple(getattr(newest, "buckets", ())) or tuple(item.bucket for item in getattr(newest, "analyses", ()))


def test_a_bucket_that_aws_cannot_make_is_left_out_and_the_rest_is_deployed(taken: Analysis) -> None:
    fail(taken)
    taken.refresh_from_db()
    assert taken.unmade_reason == TAKEN
    assert wanted(taken.stack) == ("cohort-made",)
    (waiting,) = Deployment.objects.open().filter(stack=taken.stack)
    assert [row.summary for row in waiting.changes.all()] == ["Going on without taken, which AWS could not make"]
    event = AuditEvent.objects.get(action="analysis.leave_out")
    assert (event.target, event.details["after"]["reason"]) == ("analysis taken", TAKEN)


def test_the_next_analysis_does_not_wait_for_the_one_that_was_left_out(left_out: Analysis) -> None:
    following = AnalysisFactory.create(slug="following", bucket="cohort-following")
    assert wanted(following.stack) == ("cohort-following", "cohort-made")
    fail(left_out)
    assert Deployment.objects.filter(stack=left_out.stack, state=Deployment.State.QUEUED).count() == 0


def test_what_aws_has_made_is_never_left_out(made: Analysis) -> None:
    assert leave_out(made.stack_id, {names.bucket_logical_id("cohort-made"): TAKEN, "Other": "no"}) == []
    made.refresh_from_db()
    assert made.unmade_reason == ""


def test_a_permanent_failure_over_a_bucket_is_handed_on_and_another_is_not(taken: Analysis, monkeypatch) -> None:
    def handed() -> list[list[object]]:
        tasks = DBTaskResult.objects.filter(task_path__endswith="leave_out_unmade")
        return [task.args_kwargs["args"] for task in tasks]

    monkeypatch.setattr(outcomes, "_release", lambda *_, **__: None)
    deployment = Deployment.objects.open().select_related("stack").get(stack=taken.stack)
    bucket = FailedResource(names.bucket_logical_id("cohort-taken"), "AWS::S3::Bucket", TAKEN)
    passing = FailedResource(bucket.logical_id, "AWS::S3::Bucket", "Rate exceeded")
    outcomes.record_failure(deployment, problem_from_resource(passing, "UPDATE_ROLLBACK_COMPLETE"), None)
    assert handed() == []
    outcomes.record_failure(deployment, problem_from_resource(bucket, "UPDATE_ROLLBACK_COMPLETE"), None)
    assert handed() == [[taken.stack_id, {bucket.logical_id: TAKEN}]]


def test_nobody_gets_or_keeps_a_right_to_a_bucket_of_somebody_else(taken: Analysis, made: Analysis, group: Group) -> None:
    for analysis in (taken, made):
        GrantFactory.create(group=group, analysis=analysis)
    assert wanted(group.stack) == ("cohort-made", "cohort-taken")
    fail(taken)
    assert wanted(group.stack) == ("cohort-made",)
    with pytest.raises(BucketNotMade, match="could not make the bucket of Taken One"):
        grant_analysis(analysis=taken, group=group, level=Grant.Level.READ_ONLY, actor=OPERATOR)
    assert [analyse.slug for analyse in select_analyses("default")] == ["made"]
    rename_bucket(analysis=Analysis.objects.get(pk=taken.pk), bucket="cohort-other", actor=OPERATOR)
    assert wanted(group.stack) == ("cohort-made", "cohort-other")


def test_another_bucket_is_made_instead(left_out: Analysis, administrator: User) -> None:
    deployment = rename_bucket(analysis=left_out, bucket=" cohort-other ", actor=actor_of(administrator))
    left_out.refresh_from_db()
    assert (left_out.bucket, left_out.unmade_reason) == ("cohort-other", "")
    assert wanted(left_out.stack) == ("cohort-made", "cohort-other")
    event = AuditEvent.objects.get(action="analysis.rename_bucket")
    assert (event.details["before"], event.details["after"]) == ({"bucket": "cohort-taken"}, {"bucket": "cohort-other"})
    assert event.details["deployment"] == deployment.pk


@pytest.mark.parametrize(
    ("bucket", "error"),
    [("Not A Bucket", Refused), ("elsewhere", InvalidName), ("cohort-made", NameTaken), ("cohort-taken", NameTaken)],
)
def test_a_new_name_has_to_be_one_that_can_be_made(left_out: Analysis, bucket: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="Nothing was changed"):
        rename_bucket(analysis=left_out, bucket=bucket, actor=OPERATOR)
    left_out.refresh_from_db()
    assert (left_out.bucket, left_out.unmade_reason) == ("cohort-taken", TAKEN)


def test_neither_another_nor_the_same_name_is_asked_for_while_it_is_taken(left_out: Analysis, monkeypatch) -> None:
    monkeypatch.setattr(bucket_names, "bucket_owner", lambda bucket: bucket_names.BucketOwner.SOMEBODY)
    for deed in (
        lambda: rename_bucket(analysis=left_out, bucket="cohort-other", actor=OPERATOR),
        lambda: try_again(analysis=left_out, actor=OPERATOR),
    ):
        with pytest.raises(BucketTaken):
            deed()
    left_out.refresh_from_db()
    assert (left_out.bucket, left_out.unmade_reason) == ("cohort-taken", TAKEN)


def test_it_is_tried_again_once_the_name_is_free(left_out: Analysis) -> None:
    try_again(analysis=left_out, actor=OPERATOR)
    left_out.refresh_from_db()
    assert left_out.unmade_reason == ""
    assert wanted(left_out.stack) == ("cohort-made", "cohort-taken")
    with pytest.raises(BucketMade, match="was not left out"):
        try_again(analysis=left_out, actor=OPERATOR)
    settle(left_out.stack)
    with pytest.raises(BucketMade, match="AWS has made the bucket"):
        rename_bucket(analysis=left_out, bucket="cohort-other", actor=OPERATOR)


def test_it_is_removed_with_what_the_catalogue_says_of_it(left_out: Analysis, group: Group, ada: User) -> None:
    EntryFactory.create(analysis=left_out, summary="x")
    MembershipFactory.create(group=group, user=ada, deployed=True)
    request_analysis(group=group, analysis=left_out, reason="", actor=actor_of(ada))
    with pytest.raises(Refused, match="Type the analysis’s slug, taken"):
        remove_analysis(analysis=left_out, confirmation="made", actor=OPERATOR)
    assert remove_analysis(analysis=left_out, confirmation="taken", actor=OPERATOR) is None
    assert not Analysis.objects.filter(slug="taken").exists()
    assert not AccessRequest.objects.exists()
    details = AuditEvent.objects.get(action="analysis.remove").details
    assert (details["before"]["bucket"], details["requests"]) == ("cohort-taken", 1)


def test_what_was_never_begun_is_removed_from_what_is_wanted(taken: Analysis) -> None:
    deployment = remove_analysis(analysis=taken, confirmation="taken", actor=OPERATOR)
    assert deployment is not None
    assert wanted(deployment.stack) == ("cohort-made",)


def test_what_is_granted_is_not_removed(taken: Analysis, group: Group) -> None:
    GrantFactory.create(group=group, analysis=taken)
    fail(taken)
    for _ in range(2):
        with pytest.raises(Refused, match="granted to example-lab"):
            remove_analysis(analysis=taken, confirmation="taken", actor=OPERATOR)
        # Asked to be taken away, and not seen on AWS yet.
        Grant.objects.wanted().exists() and revoke_analysis(analysis=taken, group=group, actor=OPERATOR)
    settle(group.stack)
    remove_analysis(analysis=taken, confirmation="taken", actor=OPERATOR)
    assert not Grant.objects.exists()


@pytest.mark.parametrize("how", ["made", "being made", "restored"])
def test_what_aws_has_or_may_have_is_neither_renamed_nor_removed(taken: Analysis, how: str) -> None:
    if how == "made":
        settle(taken.stack)
    elif how == "being made":
        Deployment.objects.open().filter(stack=taken.stack).update(started_at="2026-01-01T12:00Z")
    else:
        Stack.objects.filter(pk=taken.stack_id).update(known_generation=1)
    found = Analysis.objects.select_related("stack").get(pk=taken.pk)
    for deed in (
        lambda: rename_bucket(analysis=found, bucket="cohort-other", actor=OPERATOR),
        lambda: remove_analysis(analysis=found, confirmation="taken", actor=OPERATOR),
    ):
        with pytest.raises(BucketMade, match="Nothing was changed"):
            deed()
    found.refresh_from_db()
    assert found.bucket == "cohort-taken"


def test_only_administrators_may(left_out: Analysis, ada: User) -> None:
    actor = actor_of(ada)
    for deed in (
        lambda: rename_bucket(analysis=left_out, bucket="cohort-other", actor=actor),
        lambda: try_again(analysis=left_out, actor=actor),
        lambda: remove_analysis(analysis=left_out, confirmation="taken", actor=actor),
    ):
        with pytest.raises(PermissionDenied):
            deed()
    for method in ("get", "post"):
        assert getattr(client_of(ada), method)("/analyses/taken/bucket/", {"deed": "remove", "slug": "taken"}).status_code == 403
    left_out.refresh_from_db()
    assert left_out.unmade_reason == TAKEN


def test_its_page_says_why_and_what_to_do(left_out: Analysis, administrator: User, ada: User) -> None:
    shown = text_of(client_of(administrator).get("/analyses/taken/"))
    assert "AWS could not make the bucket" in shown
    assert TAKEN in shown
    assert "Try again, rename the bucket or remove the analysis" in shown
    told = text_of(client_of(ada).get("/analyses/taken/"))
    assert "its storage could not be made" in told
    assert "cohort-taken" not in told


def test_the_bucket_is_renamed_on_its_page(left_out: Analysis, administrator: User) -> None:
    client = client_of(administrator)
    refused = client.post("/analyses/taken/bucket/", {"deed": "rename", "bucket": "elsewhere"})
    assert refused.status_code == 409
    assert "is none that groups can reach" in text_of(refused)
    assert client.post("/analyses/taken/bucket/", {"deed": "rename", "bucket": "cohort-other"}).status_code == 302
    left_out.refresh_from_db()
    assert left_out.bucket == "cohort-other"
    settle(left_out.stack)
    assert "neither renamed nor removed" in text_of(client.get("/analyses/taken/bucket/"))


def test_it_is_tried_again_and_removed_on_its_page(left_out: Analysis, administrator: User) -> None:
    client = client_of(administrator)
    assert client.post("/analyses/taken/bucket/", {"deed": "try-again"}).status_code == 302
    fail(left_out)
    assert client.post("/analyses/taken/bucket/", {"deed": "remove", "slug": "wrong"}).status_code == 409
    assert client.post("/analyses/taken/bucket/", {"deed": "remove", "slug": "taken"}).status_code == 302
    assert not Analysis.objects.filter(slug="taken").exists()


def test_the_same_at_a_terminal(left_out: Analysis, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("analysis", "list")
    assert f"not made: {TAKEN}" in capsys.readouterr().out
    call_command("catalogue", "rename-bucket", "taken", "cohort-other", "--json")
    assert json.loads(capsys.readouterr().out)["bucket"] == "cohort-other"
    fail(Analysis.objects.get(slug="taken"))
    call_command("catalogue", "try-again", "taken")
    fail(Analysis.objects.get(slug="taken"))
    with pytest.raises(CommandError, match="Type the analysis’s slug"):
        call_command("catalogue", "remove", "taken", "--confirm", "made")
    call_command("catalogue", "remove", "taken", "--confirm", "taken")
    assert not Analysis.objects.filter(slug="taken").exists()

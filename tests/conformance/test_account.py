"""How a run treats a real account, tried on the embedded AWS as if it were one: asking, refusing, and leaving it as it was."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from local_aws.server import EmbeddedAws, free_port
from stacks import names
from tests.conformance import account, host, presence, removal, running, targets
from tests.conformance.journal import Journal
from tests.conformance.report import Run
from tests.conformance.step import Step
from tests.conformance.steps import bootstrap
from tests.conformance.targets import Target
from tests.conformance.tour import Tour
from tests.local_aws.helpers import ACCOUNT, EVERYTHING, client

pytestmark = pytest.mark.timeout(300)
# Everything before the site itself, which is not what is tried here.
BEFORE_THE_SITE = tuple(step for step in bootstrap.STEPS.all if "start" not in step.id and "again" not in step.id)


class Person:
    """Whoever runs it: what they type, and what they are told."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.told, self.questions = list(answers), [], []  # type: ignore[var-annotated]

    def ask(self, question: str) -> str:
        self.questions.append(question)
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)

    def run(self, folder: Path, *, with_host: bool = False) -> Run:
        return account.run(folder, with_host=with_host, ask=self.ask, say=self.told.append)

    @property
    def text(self) -> str:
        return "\n".join(self.told)


@pytest.fixture(scope="module")
def running_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def aws(running_aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> EmbeddedAws:
    """An account whose administrator the environment names, as a profile would."""
    for name, value in (
        ("AWS_ENDPOINT_URL", running_aws.endpoint),
        ("AWS_ACCESS_KEY_ID", ACCOUNT),
        ("AWS_SECRET_ACCESS_KEY", "root"),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(targets, "ACCOUNT_DELAY", 0.0)
    return running_aws


@pytest.fixture
def target(aws: EmbeddedAws) -> Target:
    """The same account, for looking at it."""
    key = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "root", "AWS_ENDPOINT_URL": aws.endpoint}
    return targets.account(key, "us-east-1")


def steps(monkeypatch: pytest.MonkeyPatch, *actions: Callable[[Tour], Any], with_cdk: bool = False) -> None:
    """Have a run take the steps before the site, of which CDK's own bootstrap is dear, and then these."""
    before = [step for step in BEFORE_THE_SITE if with_cdk or "cdk" not in step.id]
    more = [Step(f"then {number}", "Then", "Then", action) for number, action in enumerate(actions)]
    monkeypatch.setattr(running, "all_steps", lambda *, with_host: [*before, *more])


def make_bucket(tour: Tour) -> None:
    tour.journal.add("bucket", tour.bucket)
    s3 = tour.target.client("s3")
    s3.create_bucket(Bucket=tour.bucket)
    s3.put_bucket_versioning(Bucket=tour.bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=tour.bucket, Key="a", Body=b"1")
    s3.delete_object(Bucket=tour.bucket, Key="a")
    s3.create_multipart_upload(Bucket=tour.bucket, Key="half")


def interrupt(tour: Tour) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("answers", [(), ("yes",), ("111122223334",)])
def test_nothing_begins_before_the_account_s_number_is_typed(aws: EmbeddedAws, tmp_path: Path, answers: tuple[str, ...]) -> None:
    person = Person(*answers)
    with pytest.raises(account.NotBegun, match="Nothing was begun"):
        person.run(tmp_path)
    assert f"Account {ACCOUNT}, region us-east-1, as arn:aws:iam::{ACCOUNT}:root." in person.text
    assert "under a dollar" in person.text
    assert "Nothing stays but" in person.text
    assert list(tmp_path.iterdir()) == []


def test_the_locked_store_of_the_host_is_asked_for_apart_with_its_end(aws: EmbeddedAws, tmp_path: Path) -> None:
    person = Person(ACCOUNT, "yes")
    with pytest.raises(account.NotBegun):
        person.run(tmp_path, with_host=True)
    until = (datetime.now(UTC).date() + timedelta(days=host.LOCK_DAYS + 1)).isoformat()
    assert until in person.questions[1]
    assert "Run this again after that day" in person.text
    assert list(tmp_path.iterdir()) == []


def test_an_account_with_a_site_of_cohort_is_refused(aws: EmbeddedAws, target: Target, tmp_path: Path) -> None:
    iam = client(aws, "iam")
    arn = iam.create_policy(PolicyName=names.BOUNDARY_NAME, PolicyDocument=json.dumps(EVERYTHING))["Policy"]["Arn"]
    try:
        with pytest.raises(account.NotBegun, match=f"(?s)has a site of Cohort.*policy /{names.BOUNDARY_NAME}.*Nothing was begun"):
            Person(ACCOUNT).run(tmp_path)
        assert presence.by_name(target) == [f"policy /{names.BOUNDARY_NAME}"], "and left as it is"
    finally:
        iam.delete_policy(PolicyArn=arn)


def test_all_that_a_run_made_is_removed_and_listed_as_gone(
    aws: EmbeddedAws, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(monkeypatch, make_bucket, with_cdk=True)
    person = Person(ACCOUNT)
    run = person.run(tmp_path)
    assert [row.outcome for row in run.rows] == ["passed"] * len(run.rows)
    assert [row.title for row in run.rows][-2:] == ["All that was made is removed", "Nothing is left, by name or by tag"]
    assert presence.by_name(target) == []
    assert "cohort-conformance" not in str(client(aws, "s3").list_buckets())
    assert not (tmp_path / running.JOURNAL).exists()
    assert "Nothing of Cohort's is left, by name or by tag." in person.text


def test_after_ctrl_c_all_is_removed_too(aws: EmbeddedAws, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps(monkeypatch, make_bucket, interrupt)
    with pytest.raises(KeyboardInterrupt):
        Person(ACCOUNT).run(tmp_path)
    assert presence.by_name(target) == []
    assert not (tmp_path / running.JOURNAL).exists()


def test_a_second_ctrl_c_does_not_stop_the_removal(
    aws: EmbeddedAws, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(monkeypatch, make_bucket, interrupt)
    person = Person(ACCOUNT)

    def press_again(line: str) -> None:
        person.told.append(line)
        if line.startswith("Removing"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        account.run(tmp_path, ask=person.ask, say=press_again)
    assert "What was made is being removed" in person.text
    assert presence.by_name(target) == []
    assert not (tmp_path / running.JOURNAL).exists()


def test_what_a_crash_left_is_removed_by_the_next_run_before_it_begins(
    aws: EmbeddedAws, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(monkeypatch, make_bucket, interrupt)
    with monkeypatch.context() as crashed:
        crashed.setattr(running, "clean_up", lambda *arguments: [])
        with pytest.raises(KeyboardInterrupt):
            Person(ACCOUNT).run(tmp_path)
    assert f"stack {names.BOOTSTRAP_STACK}" in presence.by_name(target)
    steps(monkeypatch)
    person = Person(ACCOUNT)
    run = person.run(tmp_path)
    assert not run.has_failed
    assert "was cut off, or left something. It is removed first." in person.text
    assert presence.by_name(target) == []


def test_a_journal_of_another_account_is_not_touched(aws: EmbeddedAws, tmp_path: Path) -> None:
    journal = Journal(tmp_path / running.JOURNAL)
    journal.begin("999988887777", "us-east-1", "0a1b")
    journal.add("stack", "Cohort-Storage")
    with pytest.raises(account.NotBegun, match="a profile of that account first"):
        Person(ACCOUNT).run(tmp_path)
    assert len(Journal(tmp_path / running.JOURNAL).begun()) == 1


def test_what_is_locked_stays_in_the_journal_with_the_day_of_its_end(
    aws: EmbeddedAws, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3, bucket = client(aws, "s3"), "cohort-conformance-locked"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    end = datetime.now(UTC) + timedelta(days=2)
    s3.put_object(Bucket=bucket, Key="one", Body=b"1", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=end)
    journal = Journal(tmp_path / "journal.jsonl")
    journal.begin(ACCOUNT, "us-east-1", "0a1b")
    journal.add("bucket", bucket)
    [stays] = removal.remove(target, journal, lambda text: None)
    assert bucket in stays
    assert f"locked until {end:%Y-%m-%d}" in stays
    assert [path.name for path in Journal(journal.path).begun()] == [bucket]
    monkeypatch.setattr(running, "LISTED_SECONDS", 0)
    row = running.left(target, lambda text: None)
    assert (row.outcome, row.note) == ("failed", f"by name: bucket {bucket}")
    [version] = s3.list_object_versions(Bucket=bucket)["Versions"]
    s3.delete_object(Bucket=bucket, Key="one", VersionId=version["VersionId"], BypassGovernanceRetention=True)
    assert removal.remove(target, Journal(journal.path), lambda text: None) == []
    assert bucket not in str(boto3.client("s3", region_name="us-east-1").list_buckets())


def test_what_nobody_wrote_down_is_listed_as_left_and_not_removed(
    aws: EmbeddedAws, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LISTED_SECONDS", 0)
    iam = client(aws, "iam")
    iam.create_user(UserName="forgotten", Path="/cohort/some-lab/")
    journal = Journal(tmp_path / "journal.jsonl")
    journal.begin(ACCOUNT, "us-east-1", "0a1b")
    try:
        removed, left = running.clean_up(target, journal, lambda text: None)
        assert (removed.outcome, left.outcome) == ("passed", "failed")
        assert left.note == "by name: user /cohort/some-lab/forgotten"
    finally:
        iam.delete_user(UserName="forgotten")

"""Whether a bucket's name is free is asked of S3 before there is a row; offline, nothing is taken for granted."""

from collections.abc import Iterator
from typing import Any

import pytest

from control_plane.access.groups.errors import BucketNotAsked, BucketTaken
from control_plane.access.groups.models import Analysis
from control_plane.access.groups.services import bucket_names
from control_plane.access.groups.services.analyses import create_analysis
from control_plane.base import aws as clients
from control_plane.base.audit.actors import Actor
from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.deployments.models import Deployment
from local_aws.identity import create_identity
from local_aws.server import EmbeddedAws, free_port
from tests.actors import client_of
from tests.control_plane.account_pages import text_of
from tests.local_aws.helpers import ACCOUNT, client

ask = bucket_names.bucket_owner
OTHER_ACCOUNT = "444455556666"
LOOKS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}
# As the web process: it may look into no bucket.
NO_S3 = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        client(running, "s3").create_bucket(Bucket="cohort-ours")
        client(running, "s3", OTHER_ACCOUNT).create_bucket(Bucket="cohort-theirs")
        yield running


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 is asked, as in use."""
    monkeypatch.setattr(bucket_names, "bucket_owner", ask)


@pytest.fixture
def as_worker(aws: EmbeddedAws, asking: None, monkeypatch: pytest.MonkeyPatch) -> None:
    _use(aws, monkeypatch, *create_identity(aws.endpoint, ACCOUNT, "us-east-1", "looks", LOOKS))


@pytest.fixture
def as_web(aws: EmbeddedAws, asking: None, monkeypatch: pytest.MonkeyPatch) -> None:
    _use(aws, monkeypatch, *create_identity(aws.endpoint, ACCOUNT, "us-east-1", "no-s3", NO_S3))


def _use(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch, key: str, secret: str) -> None:
    def make(service: str, place: Place, **options: object) -> object:
        return real(service, place, endpoint_url=aws.endpoint, aws_access_key_id=key, aws_secret_access_key=secret, **options)

    real: Any = clients.client
    monkeypatch.setattr(clients, "client", make)


@pytest.mark.usefixtures("as_worker")
def test_who_has_a_bucket_is_told_where_one_may_look() -> None:
    assert config().cohort_account == ACCOUNT
    found = {name: ask(f"cohort-{name}") for name in ("free", "ours", "theirs")}
    assert found == {
        "free": bucket_names.BucketOwner.NOBODY,
        "ours": bucket_names.BucketOwner.OURS,
        "theirs": bucket_names.BucketOwner.SOMEBODY,
    }


@pytest.mark.usefixtures("as_web")
def test_a_process_without_any_right_to_s3_tells_free_names_from_taken_ones() -> None:
    found = [ask(f"cohort-{name}") for name in ("free", "ours", "theirs")]
    assert found == [bucket_names.BucketOwner.NOBODY, bucket_names.BucketOwner.SOMEBODY, bucket_names.BucketOwner.SOMEBODY]


@pytest.mark.django_db
@pytest.mark.usefixtures("as_worker")
@pytest.mark.parametrize(("bucket", "says"), [("cohort-ours", "in this AWS account already"), ("cohort-theirs", "another account")])
def test_an_analysis_whose_bucket_is_taken_is_refused_before_there_is_a_row(bucket: str, says: str, operator: Actor) -> None:
    with pytest.raises(BucketTaken, match=says) as refused:
        create_analysis(slug="ephys", bucket=bucket, actor=operator)
    assert bucket in str(refused.value)
    assert "Nothing was changed; choose another name" in str(refused.value)
    assert not Analysis.objects.exists()
    assert not Deployment.objects.exists()
    create_analysis(slug="ephys", bucket="cohort-free", actor=operator)


@pytest.mark.django_db
@pytest.mark.usefixtures("as_web")
def test_the_page_refuses_a_taken_name_on_the_form(administrator) -> None:
    fields = {"slug": "ephys", "name": "", "bucket": "cohort-theirs"}
    answer = client_of(administrator).post("/admin/groups/analysis/add/", fields)
    assert answer.status_code == 422
    assert "is taken" in text_of(answer)
    assert not Analysis.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("asking")
def test_where_aws_cannot_be_asked_nothing_is_made_and_the_message_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, operator: Actor
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(bucket_names, "MAX_ATTEMPTS", 1)
    with pytest.raises(BucketNotAsked, match="could not be asked whether the bucket name 'cohort-ephys' is free") as refused:
        create_analysis(slug="ephys", bucket="cohort-ephys", actor=operator)
    assert "Nothing was changed; try again" in str(refused.value)
    assert not Analysis.objects.exists()

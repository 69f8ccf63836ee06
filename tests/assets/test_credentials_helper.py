"""The web process's session on AWS: how it is fetched, who may read it, and what it can and cannot do."""

import grp
import json
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from assets.aws import web_credentials
from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import ACCOUNT, client

ROLE = f"arn:aws:iam::{ACCOUNT}:role/cohort-host/cohort-web"
OWN_GROUP = grp.getgrgid(os.getgid()).gr_name
CONFIG = Path(web_credentials.__file__).with_name("aws-web.config")


def run_helper(monkeypatch: pytest.MonkeyPatch, out: Path, role: str = ROLE, group: str = OWN_GROUP) -> None:
    monkeypatch.setenv("WEB_ROLE_ARN", role)
    monkeypatch.setattr("sys.argv", ["web_credentials", "--out", str(out), "--group", group])
    web_credentials.main()


@mock_aws
def test_it_writes_a_session_that_its_group_alone_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "credentials.json"
    run_helper(monkeypatch, out)
    document = json.loads(out.read_text())
    assert sorted(document) == ["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken", "Version"]
    assert document["Version"] == 1
    lasts = datetime.fromisoformat(document["Expiration"]) - datetime.now(UTC)
    assert timedelta(minutes=58) < lasts <= timedelta(hours=1)
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["credentials.json"], "nothing half-written stays"
    said = capsys.readouterr().out
    assert ROLE in said
    assert document["SecretAccessKey"] not in said
    assert document["SessionToken"] not in said


@mock_aws
@pytest.mark.parametrize(
    ("role", "group", "reason"),
    [
        ("", OWN_GROUP, "WEB_ROLE_ARN is not set"),
        ("cohort-web", OWN_GROUP, "which is no role"),
        (ROLE, "no-such-group", "There is no group no-such-group"),
    ],
)
def test_it_says_what_is_wrong_and_leaves_the_session_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str, group: str, reason: str
) -> None:
    out = tmp_path / "credentials.json"
    out.write_text("before")
    with pytest.raises(SystemExit) as ended:
        run_helper(monkeypatch, out, role, group)
    assert reason in str(ended.value)
    assert out.read_text() == "before"


@mock_aws
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"missing cannot be written: No such file"):
        run_helper(monkeypatch, tmp_path / "missing/credentials.json")


# --- On the embedded AWS, which enforces IAM.


def allow(actions: str | list[str], resource: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]})


def trusting(principal: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_role(iam: Any, name: str, path: str, principal: str, policy: str) -> str:
    role = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=trusting(principal))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=policy)
    return str(role)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


@pytest.fixture(scope="module")
def worker_key(aws: EmbeddedAws) -> dict[str, str]:
    """The host's rights (a user stands for the instance's role), the web role, and one group's."""
    iam = client(aws, "iam")
    worker = iam.create_user(UserName="worker")["User"]["Arn"]
    iam.put_user_policy(UserName="worker", PolicyName="rights", PolicyDocument=allow(["sts:AssumeRole", "cloudformation:*"], "*"))
    web = make_role(iam, "cohort-web", "/cohort-host/", worker, allow("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/cohort/*"))
    assert web == ROLE
    make_role(iam, "cohort-lab", "/cohort/lab/", web, allow("s3:ListBucket", "*"))
    make_role(iam, "cdk-deploy", "/", web, allow("*", "*"))
    key = iam.create_access_key(UserName="worker")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


@pytest.fixture
def web(aws: EmbeddedAws, worker_key: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> botocore.session.Session:
    """A session as the web process has it: from the helper's file through the host's own AWS configuration, and nothing else."""
    out = tmp_path / "credentials.json"
    with monkeypatch.context() as worker:
        for name, value in {**worker_key, "AWS_ENDPOINT_URL": aws.endpoint}.items():
            worker.setenv(name, value)
        run_helper(worker, out)
    config = tmp_path / "aws-web.config"
    config.write_text(CONFIG.read_text().replace(str(web_credentials.OUT), str(out)))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": aws.endpoint,
    }.items():
        monkeypatch.setenv(name, value)
    return botocore.session.Session()


def test_the_web_process_can_act_for_a_group(web: botocore.session.Session) -> None:
    sts: Any = web.create_client("sts", region_name="us-east-1")
    assert ":assumed-role/cohort-web/" in sts.get_caller_identity()["Arn"]
    session = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/cohort/lab/cohort-lab", RoleSessionName="ada")
    assert session["Credentials"]["SessionToken"]


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("cloudformation", "describe_stacks", {}),
        ("cloudformation", "create_stack", {"StackName": "x", "TemplateBody": "{}"}),
        ("iam", "create_user", {"UserName": "x"}),
        ("sts", "assume_role", {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/cdk-deploy", "RoleSessionName": "web"}),
    ],
)
def test_the_web_process_can_neither_deploy_nor_change_iam(
    web: botocore.session.Session, service: str, operation: str, request_: dict[str, str]
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(web.create_client(service, region_name="us-east-1"), operation)(**request_)
    assert refused.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")


def test_a_renewed_session_is_taken_up_by_a_running_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, config = tmp_path / "credentials.json", tmp_path / "config"
    config.write_text(CONFIG.read_text().replace(str(web_credentials.OUT), str(out)))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")

    def write(key: str, minutes: int) -> None:
        ends = datetime.now(UTC) + timedelta(minutes=minutes)
        session = {"AccessKeyId": key, "SecretAccessKey": "s", "SessionToken": "t", "Expiration": ends}
        web_credentials.write(web_credentials.as_process_output(session), out, OWN_GROUP)

    write("FIRST", minutes=14)
    credentials = botocore.session.Session().get_credentials()
    assert credentials is not None
    write("SECOND", minutes=60)
    assert credentials.get_frozen_credentials().access_key == "SECOND"


def test_a_missing_session_is_an_error_and_no_other_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text(CONFIG.read_text().replace(str(web_credentials.OUT), str(tmp_path / "missing")))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with pytest.raises(botocore.exceptions.CredentialRetrievalError, match="No such file"):
        botocore.session.Session().get_credentials()

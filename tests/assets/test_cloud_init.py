"""A host's first start: the user data, and the boot script's steps as far as they can be taken without a host."""

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from assets.install import boot, certificate, host, settings_files, users
from assets.install.aws import Aws
from assets.install.host import Failed

ASSETS = Path(__file__).resolve().parents[2] / "assets"
USER_DATA = ASSETS / "cloud-init/user-data.yaml"
NAMES = [
    *("APP_BUCKET", "APP_KEY", "APP_SHA256", "REGION", "ACCOUNT", "DOMAIN", "EMAIL", "TLS", "SIZE"),
    *("DATA_VOLUME_ID", "EIP_ALLOCATION_ID", "WEB_ROLE_ARN", "SETTINGS_SECRET_ARN", "STATE_BUCKET", "BACKUP_BUCKET"),
    *("BUCKET_PATTERNS", "EARLIER_VERSIONS_DAYS", "LOG_GROUP", "STACK_NAME", "SIGNAL_RESOURCE"),
]
KNOWN = {"REGION": "us-east-1", "ACCOUNT": "111122223333", "DOMAIN": "cohort.example.org", "TLS": "certbot", "SIZE": "small"}
VALUES = {name: f"value-of-{name.lower()}" for name in NAMES} | KNOWN | {"BUCKET_PATTERNS": "cohort-* lab-data-*"}
INSTANCE = "i-0123456789abcdef0"
# Stands for Ubuntu's boto3: S3 gives a file, CloudFormation writes down what it is told.
BOTO3 = """
import json, os, pathlib, shutil
class Client:
    def download_file(self, bucket, key, path):
        shutil.copyfile(os.environ["ARCHIVE"], path)
    def signal_resource(self, **request):
        pathlib.Path(os.environ["SIGNALS"]).write_text(json.dumps(request))
def client(service, region_name):
    return Client()
"""


def rendered(values: dict[str, str]) -> str:
    """The user data as Fn::Sub makes it."""
    return re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], USER_DATA.read_text())


def test_the_user_data_holds_the_agreed_names_and_no_other_dollar() -> None:
    text = USER_DATA.read_text()
    assert re.findall(r"\$\{(.*?)\}", text) == NAMES
    assert text.count("$") == len(NAMES), "Fn::Sub leaves a dollar alone, but nobody should have to know"
    assert len(rendered(dict.fromkeys(NAMES, "x" * 120))) < 12_000, "EC2 takes 16 KiB"


def test_cloud_init_knows_the_user_data(tmp_path: Path) -> None:
    (tmp_path / "user-data").write_text(rendered(VALUES))
    done = subprocess.run(
        ["/usr/bin/cloud-init", "schema", "--config-file", str(tmp_path / "user-data")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Valid" in done.stdout


class FirstBoot:
    """The script that the user data writes, with this machine's paths replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.archive = folder, folder / "application.zip"
        with zipfile.ZipFile(self.archive, "w") as file:
            file.writestr("assets/install/boot.py", "import sys; print('booted from', sys.path[0])")
        self.sha256 = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        self.signals = folder / "signals"
        for path, text in {"boto3.py": BOTO3, "var/lib/cloud/data/instance-id": INSTANCE + "\n"}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)

    def run(self, sha256: str) -> subprocess.CompletedProcess[str]:
        files = {file["path"]: file for file in yaml.safe_load(rendered(VALUES | {"APP_SHA256": sha256}))["write_files"]}
        assert files["/etc/cohort/host.env"]["permissions"] == "0600"
        (self.folder / "host.env").write_text(files["/etc/cohort/host.env"]["content"])
        script = files["/usr/local/sbin/cohort-first-boot"]["content"]
        for ours in ("/opt/cohort", "/var/lib/cloud"):
            assert ours in script
            script = script.replace(ours, f"{self.folder}{ours}")
        script = script.replace("/etc/cohort/host.env", f"{self.folder}/host.env")
        environment = {
            "PYTHONPATH": str(self.folder),
            "ARCHIVE": str(self.archive),
            "SIGNALS": str(self.signals),
            "PATH": os.environ["PATH"],
        }
        return subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, cwd=self.folder
        )

    @property
    def releases(self) -> list[Path]:
        return sorted((self.folder / "opt/cohort/releases").glob("*"))


def test_the_application_is_verified_unpacked_and_started(tmp_path: Path) -> None:
    first = FirstBoot(tmp_path)
    done = first.run(first.sha256)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["booted", "from", str(first.releases[0])]
    assert [path.name for path in first.releases] == [first.sha256]
    assert first.run(first.sha256).returncode == 0, "a second time is no harm"
    assert not first.signals.exists(), "the boot script itself tells how it went"


def test_an_application_of_another_checksum_is_refused_and_cloudformation_told(tmp_path: Path) -> None:
    first = FirstBoot(tmp_path)
    done = first.run("0" * 64)
    assert done.returncode == 1
    assert f"SHA-256 is {first.sha256}, not {'0' * 64}. Nothing was installed." in done.stderr
    assert first.releases == []
    signal = json.loads(first.signals.read_text())
    assert (signal["UniqueId"], signal["Status"], signal["LogicalResourceId"]) == (INSTANCE, "FAILURE", VALUES["SIGNAL_RESOURCE"])


# --- The boot script's steps.


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(host, "ROOT", tmp_path)
    for module in (host, users):
        monkeypatch.setattr(module, "IS_REAL", False)
    (tmp_path / "var/lib/cloud/data").mkdir(parents=True)
    (tmp_path / "var/lib/cloud/data/instance-id").write_text(INSTANCE)
    return tmp_path


def test_steps_are_taken_until_one_fails_and_its_reason_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[str] = []

    def fails() -> None:
        raise Failed("the disk is full. Make room.")

    told = boot.run_steps([("one", lambda: taken.append("one")), ("two", fails), ("three", lambda: taken.append("three"))])
    assert told == "The host's first start failed at the step 'two': the disk is full. Make room."
    assert taken == ["one"]
    assert "two: FAILED" in capsys.readouterr().out
    assert boot.run_steps([("one", lambda: taken.append("one"))]) == ""


@pytest.mark.parametrize("fails", [False, True])
def test_cloudformation_hears_how_the_start_went(root: Path, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    (root / "etc/cohort").mkdir(parents=True)
    (root / "etc/cohort/host.env").write_text("".join(f"{name}={value}\n" for name, value in VALUES.items()))
    heard: list[Any] = []

    def step() -> None:
        if fails:
            raise Failed("because.")

    monkeypatch.setattr(boot, "steps", lambda host, aws: [("only", step)])
    monkeypatch.setattr(Aws, "tell", lambda self, group, message: heard.append(message))
    monkeypatch.setattr(Aws, "signal", lambda self, stack, resource, success: heard.append((stack, resource, success)))
    if fails:
        with pytest.raises(SystemExit):
            boot.main()
        assert "failed at the step 'only': because." in heard[0]
    else:
        boot.main()
    assert heard[1] == (VALUES["STACK_NAME"], VALUES["SIGNAL_RESOURCE"], not fails)


@pytest.fixture
def ec2(root: Path) -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("ec2", region_name="us-east-1")


def launch(ec2: Any) -> str:
    return str(ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"])


def test_a_free_volume_is_attached_once(ec2: Any) -> None:
    aws = Aws("us-east-1")
    aws.instance = launch(ec2)
    found = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
    aws.attach(found, look_seconds=0)
    aws.attach(found, look_seconds=0)
    (attached,) = ec2.describe_volumes(VolumeIds=[found])["Volumes"][0]["Attachments"]
    assert attached["InstanceId"] == aws.instance


def test_a_volume_of_another_instance_is_waited_for_and_never_taken(ec2: Any) -> None:
    aws, other = Aws("us-east-1"), launch(ec2)
    aws.instance = launch(ec2)
    found = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
    ec2.attach_volume(VolumeId=found, InstanceId=other, Device="/dev/sdf")
    with pytest.raises(Failed, match=rf"still in-use \({other}\).*It was not taken away"):
        aws.attach(found, free_seconds=0.2, look_seconds=0.05)
    assert ec2.describe_volumes(VolumeIds=[found])["Volumes"][0]["Attachments"][0]["InstanceId"] == other


def test_a_volume_that_is_not_there_is_told(ec2: Any) -> None:
    with pytest.raises(Failed, match="was not attached"):
        Aws("us-east-1").attach("vol-0123456789abcdef0")


@mock_aws
@pytest.mark.parametrize(("secret", "reason"), [("not json", "no JSON"), ('["a"]', "no JSON object")])
def test_settings_that_are_no_object_are_refused(root: Path, secret: str, reason: str) -> None:
    boto3.client("secretsmanager", region_name="us-east-1").create_secret(Name="cohort-host/settings", SecretString=secret)
    with pytest.raises(Failed, match=reason) as refused:
        Aws("us-east-1").secret_settings("cohort-host/settings")
    assert secret not in str(refused.value)


def test_settings_are_root_s_alone_and_read_back_as_systemd_reads_them(root: Path) -> None:
    secrets = {"SECRET_KEY": "a$b`c\"d\\e'f #g" * 4, "EMAIL_URL": "smtp://u:p%40@host:587"}
    settings_files.write_settings(VALUES, secrets)
    files = [root / path.lstrip("/") for path in (settings_files.COMMON, settings_files.WEB, settings_files.WORKER)]
    assert [oct(path.stat().st_mode & 0o777) for path in files] == ["0o600"] * 3
    read = settings_files.read_settings(settings_files.COMMON, settings_files.WEB)
    assert {name: read[name] for name in secrets} == secrets
    # A shell reads double quotes as systemd does.
    shell = subprocess.run(
        ["/bin/bash", "-c", f'set -a; . {files[0]}; printf %s "$SECRET_KEY"'], capture_output=True, text=True, check=True
    )
    assert shell.stdout == secrets["SECRET_KEY"]
    assert read["SITE_URL"] == "https://cohort.example.org"
    assert read["BUCKET_PATTERNS"] == "cohort-* lab-data-*", "as in the groups' boundary: other buckets no group would reach"
    assert read["EARLIER_VERSIONS_DAYS"] == VALUES["EARLIER_VERSIONS_DAYS"]
    assert read["AWS_EC2_METADATA_DISABLED"] == "true"
    assert "AWS_CONFIG_FILE" not in settings_files.read_settings(settings_files.COMMON, settings_files.WORKER)


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        ({}, "holds no SECRET_KEY"),
        ({"SECRET_KEY": "x" * 40, "LD_PRELOAD": "/tmp/x"}, "LD_PRELOAD"),  # noqa: S108
        ({"SECRET_KEY": "x" * 40, "lower": "x"}, "lower"),
        ({"SECRET_KEY": "one\ntwo-is-never-shown"}, "SECRET_KEY holds a line break"),
    ],
)
def test_bad_settings_are_named_and_never_shown(root: Path, secrets: dict[str, str], reason: str) -> None:
    with pytest.raises(Failed, match=reason) as refused:
        settings_files.write_settings(VALUES, secrets)
    assert "two-is-never-shown" not in str(refused.value)


# --- The certificate.


@pytest.fixture
def certbot(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Certbot and systemctl of the tests' own: the first gives a certificate, or is refused."""
    state: dict[str, Any] = {"gives": True, "calls": []}
    real = host.run

    def run(*words: object, **more: Any) -> str:
        if words[0] == "openssl":
            return real(*words, **more)
        state["calls"].append(str(words[0]))
        if words[0] == "certbot":
            if not state["gives"]:
                raise Failed("DNS problem")
            for path in ("live/cohort.example.org/fullchain.pem", "renewal/cohort.example.org.conf"):
                host.write(root / "etc/letsencrypt" / path, "given")
        return ""

    monkeypatch.setattr(certificate, "run", run)
    (root / "var/lib/cohort").mkdir(parents=True)
    return state


def chain(root: Path) -> str:
    return (root / "etc/letsencrypt/live/cohort.example.org/fullchain.pem").read_text()


def test_a_first_host_has_a_stopgap_then_let_s_encrypt_s_and_the_next_host_takes_it_over(
    root: Path, certbot: dict[str, Any]
) -> None:
    certificate.ensure_certificate(VALUES)
    assert "BEGIN CERTIFICATE" in chain(root)
    key = root / "etc/letsencrypt/live/cohort.example.org/privkey.pem"
    assert key.stat().st_mode & 0o077 == 0
    certificate.obtain_certificate(VALUES)
    assert chain(root) == "given"
    kept = root / "var/lib/cohort/certificates.tar"
    assert kept.stat().st_mode & 0o777 == 0o600
    # The next host: the data volume alone is the same.
    (root / "etc/letsencrypt").rename(root / "old")
    certificate.ensure_certificate(VALUES)
    certificate.obtain_certificate(VALUES)
    assert chain(root) == "given"
    assert certbot["calls"] == ["certbot", "systemctl"], "Let's Encrypt was not asked again"


def test_a_refusal_leaves_the_stopgap_and_is_tried_again(
    root: Path, certbot: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    certbot["gives"] = False
    certificate.ensure_certificate(VALUES)
    certificate.obtain_certificate(VALUES)
    assert "BEGIN CERTIFICATE" in chain(root)
    assert "See that the name's A record leads to this host" in capsys.readouterr().out
    assert (root / "etc/cron.d/cohort-certificate").exists()
    certbot["gives"] = True
    certificate.obtain_certificate(VALUES)
    assert chain(root) == "given"
    assert not (root / "etc/cron.d/cohort-certificate").exists()


def test_a_kept_copy_that_others_could_have_written_is_not_used(root: Path, certbot: dict[str, Any]) -> None:
    certificate.ensure_certificate(VALUES)
    certificate.obtain_certificate(VALUES)
    (root / "var/lib/cohort/certificates.tar").chmod(0o660)
    (root / "etc/letsencrypt").rename(root / "old")
    certificate.ensure_certificate(VALUES)
    assert "BEGIN CERTIFICATE" in chain(root)


def test_behind_a_load_balancer_the_host_holds_no_certificate(root: Path, certbot: dict[str, Any]) -> None:
    certificate.ensure_certificate(VALUES | {"TLS": "acm"})
    certificate.obtain_certificate(VALUES | {"TLS": "acm"})
    assert not (root / "etc/letsencrypt").exists()
    assert certbot["calls"] == []


# --- Logs and metrics.


def test_the_agent_sends_every_service_s_log_to_the_one_group() -> None:
    document = json.loads((ASSETS / "cloudwatch/agent.json").read_text().replace("@LOG_GROUP@", "/cohort/host"))
    collected = document["logs"]["logs_collected"]
    entries = collected["journald"]["collect_list"] + collected["files"]["collect_list"]
    assert {entry["log_group_name"] for entry in entries} == {"/cohort/host"}
    services = {path.stem for path in (ASSETS / "systemd").glob("*.service")}
    assert services <= set(collected["journald"]["collect_list"][0]["units"])
    assert document["agent"]["run_as_user"] == "root", "the firewall lets root and the worker alone reach the host's role"


def test_signalling_asks_for_what_cloudformation_takes(root: Path) -> None:
    """Moto knows no SignalResource; botocore still checks the request against AWS's own model."""
    from botocore.stub import Stubber

    aws = Aws("us-east-1")
    client = boto3.client("cloudformation", region_name="us-east-1")
    aws._client = lambda service: client  # type: ignore[method-assign]
    request = {"StackName": "Cohort-Host", "LogicalResourceId": "Host", "UniqueId": INSTANCE, "Status": "SUCCESS"}
    with Stubber(client) as stub:
        stub.add_response("signal_resource", {}, request)
        aws.signal("Cohort-Host", "Host", success=True)
        stub.add_client_error("signal_resource", "ValidationError", "no such stack")
        with pytest.raises(Failed, match="was not told FAILURE"):
            aws.signal("Cohort-Host", "Host", success=False)

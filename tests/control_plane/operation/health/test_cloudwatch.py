"""What is put to CloudWatch, and that one figure which cannot be had keeps none of the others back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.management import CommandError, call_command
from moto import mock_aws

from control_plane.access.groups.models import Group
from control_plane.base.config import config
from control_plane.deployments.models import Deployment
from control_plane.operation.backups.services import age
from control_plane.operation.health import cloudwatch
from tests.factories import DeploymentFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("BACKUP_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HEALTH_URL", "http://127.0.0.1:9/readyz")
    config.cache_clear()
    with mock_aws():
        yield
    monkeypatch.undo()
    config.cache_clear()


def put() -> dict[str, float]:
    """The last value of each metric that CloudWatch has."""
    call_command("metrics", "push", stdout=StringIO())
    client: Any = boto3.client("cloudwatch")
    names = [metric["MetricName"] for metric in client.list_metrics(Namespace="Cohort")["Metrics"]]
    now = datetime.now(UTC)
    span = {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(minutes=5), "Period": 600}
    return {
        name: client.get_metric_statistics(Namespace="Cohort", MetricName=name, Statistics=["Maximum"], **span)["Datapoints"][0][
            "Maximum"
        ]
        for name in names
    }


def store_backup(folder: Path, moment: datetime) -> None:
    folder.mkdir()
    name = f"cohort-{moment:%Y%m%dT%H%M%SZ}.sqlite3.gz"
    (folder / name).touch()
    (folder / f"{name}.json").touch()


def certificate(path: Path, days: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cohort.example.org")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
    )
    path.write_bytes(built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def test_every_figure_is_put(group: Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_backup(tmp_path / "store", datetime.now(UTC) - timedelta(hours=2))
    certificate(tmp_path / "site.pem", 30)
    monkeypatch.setenv("CERTIFICATE_FILE", str(tmp_path / "site.pem"))
    config.cache_clear()
    Deployment.objects.update(state=Deployment.State.FAILED)
    seen = put()
    assert seen["BackupAgeSeconds"] == pytest.approx(7200, abs=30)
    assert seen["FailedDeployments"] == 1
    assert seen["SiteUp"] == 0
    assert 0 < seen["DiskUsedPercent"] <= 100
    assert seen["CertificateDaysLeft"] == pytest.approx(30, abs=0.1)


def test_a_failure_that_was_mended_does_not_count(group: Group) -> None:
    Deployment.objects.update(state=Deployment.State.FAILED)
    DeploymentFactory.create(stack=group.stack, generation=1, state=Deployment.State.SUCCEEDED)
    assert put()["FailedDeployments"] == 0


def test_no_backup_at_all_is_an_age_that_any_alarm_heeds_and_no_certificate_is_no_metric() -> None:
    seen = put()
    assert seen["BackupAgeSeconds"] > 26 * 3600
    assert "CertificateDaysLeft" not in seen


def test_a_site_that_answers_is_up_and_no_proxy_is_asked_for_this_machine(
    live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"http_proxy": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEALTH_URL", f"{live_server.url}/healthz")
    config.cache_clear()
    assert cloudwatch.site_up() == 1
    monkeypatch.setenv("HEALTH_URL", f"{live_server.url}/readyz")
    config.cache_clear()
    assert cloudwatch.site_up() == 0, "without a worker it is not ready"


def test_what_cannot_be_measured_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "site.pem").write_text("nothing of the kind")
    monkeypatch.setenv("CERTIFICATE_FILE", str(tmp_path / "site.pem"))
    (tmp_path / "store").write_text("a file")
    config.cache_clear()
    monkeypatch.setattr(age, "newest_stored", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert put().keys() == {"FailedDeployments", "SiteUp", "DiskUsedPercent"}


def test_a_cloudwatch_that_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudwatch, "measure", lambda: {"SiteUp": 1.0, "Unknown": 1.0})
    monkeypatch.setattr(cloudwatch, "MEASURES", {"SiteUp": ("Count", float), "Unknown": ("Nonsense", float)})
    monkeypatch.setattr("control_plane.base.aws.client", lambda *_: Refusing())
    with pytest.raises(CommandError, match="did not take the figures"):
        call_command("metrics", "push")


class Refusing:
    """A CloudWatch that does not answer."""

    def put_metric_data(self, **_: object) -> None:
        from botocore.exceptions import EndpointConnectionError

        raise EndpointConnectionError(endpoint_url="https://monitoring.example")

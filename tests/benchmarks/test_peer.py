"""The peer's environment: which version it is, what it is told, and that a missing one ends the run. Nothing is installed here."""

import sys
from pathlib import Path

import pytest

from tests.benchmarks.peer import LOCK, Peer, PeerFailed, PeerMissing

CREDENTIALS = {"AccessKeyId": "AKIA", "SecretAccessKey": "secret", "SessionToken": "token", "Expiration": "2026-11-27"}
LOCKED = LOCK.read_text().split("awscli==")[1].split()[0]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """An environment in which `aws` writes down what it is told."""
    (tmp_path / "installed").write_text(LOCK.read_text())
    (tmp_path / "bin").mkdir()
    be(tmp_path, f'[ "$1" = --version ] && echo "aws-cli/{LOCKED} Python/3" || {{ echo "$@"; env; }} > {tmp_path}/told')
    return tmp_path


def be(folder: Path, script: str) -> None:
    (folder / "bin/aws").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin/aws").chmod(0o755)


def told(folder: Path) -> list[str]:
    return (folder / "told").read_text().splitlines()


def test_it_is_the_locked_version(installed: Path) -> None:
    assert Peer.installed(installed).version == f"aws-cli {LOCKED}"


@pytest.mark.parametrize("script", ["echo aws-cli/1.0.0 Python/3", "echo nothing", "echo broken; exit 1"])
def test_another_version_is_no_peer(installed: Path, script: str) -> None:
    be(installed, script)
    with pytest.raises(PeerMissing):
        Peer.installed(installed)


def test_one_that_cannot_be_run_is_no_peer(installed: Path) -> None:
    (installed / "bin/aws").unlink()
    with pytest.raises(PeerMissing, match="No such file"):
        Peer.installed(installed)


def test_one_that_cannot_be_installed_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(PeerMissing, match="-m venv"):
        Peer.installed(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_copy_has_these_credentials_and_no_other_settings(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "my-own")
    monkeypatch.setenv("PYTHONPATH", "/ours")
    seconds = Peer.installed(installed).copy(installed, "s3://bucket/key", "http://localhost:1", CREDENTIALS)
    assert seconds > 0
    command, *environment = told(installed)
    assert command == f"--endpoint-url http://localhost:1 s3 cp {installed} s3://bucket/key --only-show-errors --recursive"
    settings = {line for line in environment if line.startswith(("AWS_", "PYTHON"))}
    assert {"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=token"} <= settings
    assert "AWS_CONFIG_FILE=/dev/null" in settings
    assert not [line for line in settings if line.startswith(("AWS_PROFILE", "PYTHON"))]


def test_a_copy_that_fails_says_what_it_said(installed: Path) -> None:
    found = Peer.installed(installed)
    be(installed, "echo AccessDenied >&2; exit 1")
    with pytest.raises(PeerFailed, match="AccessDenied"):
        found.copy(installed, "s3://bucket/key", "http://localhost:1", CREDENTIALS)


def test_its_start_up_is_a_copy_of_an_empty_file(installed: Path) -> None:
    assert Peer.installed(installed).start_up_seconds("s3://bucket/key", "http://localhost:1", CREDENTIALS) > 0
    assert "cohort-empty-" in told(installed)[0]

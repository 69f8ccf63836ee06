"""install-release.sh: a release comes into use whole, or the one before stays in use."""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.assets.host_root import REPOSITORY, SECRET, HostRoot, host_root

SCRIPTS = sorted((REPOSITORY / "assets").rglob("*.sh"))


@pytest.fixture
def host() -> Iterator[HostRoot]:
    with host_root() as one:
        yield one


def words(host: HostRoot) -> list[str]:
    return [" ".join(item["words"]) for item in host.managed]


def test_a_first_release_gets_packages_of_its_own() -> None:
    with host_root(quick=False) as host:
        done = host.install(*host.release("1"))
        assert done.returncode == 0, done.stdout
        assert "include-system-site-packages = false" in host.read("opt/cohort/current/.venv/pyvenv.cfg")


def test_a_first_release_is_installed_and_serves(host: HostRoot) -> None:
    archive, sha256 = host.release("1")
    done = host.install(archive, sha256)
    assert done.returncode == 0, done.stdout
    assert host.current == sha256
    assert words(host) == ["migrate --noinput", "collectstatic --noinput"]
    assert all(item["secret"] for item in host.managed)
    database = host.folder / "var/lib/cohort/cohort.sqlite3"
    assert database.stat().st_mode & 0o777 == 0o660, "SQLite itself would not let the web process write"
    assert [item["umask"] for item in host.managed] == [0o007, 0o022]
    assert (host.folder / "opt/cohort/current/.venv/bin/python").exists()
    assert host.read("etc/nginx/conf.d/cohort.conf") == "server_name cohort.example.org; # acm 1"
    assert "cohort-worker" in host.read("etc/nftables.conf")
    assert "credential_process" in host.read("etc/cohort/aws-web.config")
    calls = [call for call in host.calls if not call.startswith("runuser")]
    assert calls == [
        "npm ci --omit=dev --no-audit --no-fund",
        "nginx -t",
        f"nft -f {host.folder}/etc/nftables.conf",
        "systemctl daemon-reload",
        "systemctl enable --quiet nginx.service nftables.service "
        "cohort-of-1.timer cohort-web.service cohort-web.socket cohort-worker.service",
        "systemctl start cohort-web.socket",
        "systemctl restart cohort-of-1.timer cohort-worker.service cohort-web.service",
        "systemctl reload-or-restart nginx.service",
    ]
    assert all("--user cohort-worker" in call for call in host.calls if call.startswith("runuser"))
    assert SECRET not in done.stdout


def test_the_same_release_again_installs_no_packages(host: HostRoot) -> None:
    archive, sha256 = host.release("1")
    host.install(archive, sha256)
    host.forget()
    done = host.install(archive, sha256)
    assert done.returncode == 0, done.stdout
    assert not [call for call in host.calls if call.startswith("npm")]
    assert host.current == sha256


def test_an_upgrade_backs_up_first_and_an_upgrade_that_is_never_ready_goes_back(host: HostRoot) -> None:
    first = host.release("1")
    host.install(*first)
    host.forget()
    second = host.release("2")
    done = host.install(*second)
    assert done.returncode == 0, done.stdout
    assert host.current == second[1]
    assert words(host) == ["backup create", "migrate --noinput", "collectstatic --noinput"]
    assert host.managed[0]["by"] == first[1], "the release that wrote the database backs it up"
    assert not (host.folder / "etc/systemd/system/cohort-of-1.timer").exists(), "what the new release has no more is removed"
    assert "systemctl disable --now cohort-of-1.timer" in host.calls

    host.forget()
    third = host.release("3", **{"never-ready": ""})
    done = host.install(*third)
    assert done.returncode == 1
    assert host.current == second[1]
    assert "/readyz: 503 worker: No worker lives." in done.stdout
    assert f"The release failed, and {second[1][:12]} is in use again" in done.stdout
    assert "the backup before that: database/2026-01-01T00-00-00Z.sqlite3.zst" in done.stdout
    assert host.read("etc/nginx/conf.d/cohort.conf") == "server_name cohort.example.org; # acm 2"
    assert (host.folder / "etc/systemd/system/cohort-of-2.timer").exists()
    assert not (host.folder / "etc/systemd/system/cohort-of-3.timer").exists()
    restarts = [call for call in host.calls if call.startswith("systemctl restart")]
    assert ["cohort-of-3" in call for call in restarts] == [True, False], "the services run what is in use"
    assert (words(host)[-1], host.managed[-1]["by"]) == ("collectstatic --noinput", second[1]), "its pages find their files again"


def test_a_first_release_that_is_never_ready_says_that_there_is_no_way_back(host: HostRoot) -> None:
    done = host.install(*host.release("1", **{"never-ready": ""}))
    assert done.returncode == 1
    assert "There is no earlier release on this host to go back to" in done.stdout


@pytest.mark.parametrize(
    ("failing", "files"),
    [
        ("nginx -t", {}),
        ("", {"fails-collectstatic": ""}),
        ("", {"fails-migrate": ""}),
        ("", {"requirements.txt": "surely-not-here"}),
    ],
)
def test_an_upgrade_that_fails_before_the_switch_leaves_the_old_one_in_use(
    host: HostRoot, failing: str, files: dict[str, str]
) -> None:
    first = host.release("1")
    host.install(*first)
    done = host.install(*host.release("2", **files), failing=failing)
    assert done.returncode == 1
    assert host.current == first[1]
    assert "failed with status" in done.stdout


def test_a_backup_that_fails_keeps_the_database_from_being_migrated(host: HostRoot) -> None:
    first = host.release("1", **{"fails-backup": ""})
    host.install(*first)
    host.forget()
    done = host.install(*host.release("2"))
    assert done.returncode == 1
    assert "backup was told to fail" in done.stdout
    assert words(host) == ["backup create"]
    assert host.current == first[1]


def test_an_archive_of_another_checksum_is_refused_and_nothing_changes(host: HostRoot) -> None:
    host.install(*host.release("1"))
    before = host.snapshot()
    host.forget()
    archive, _ = host.release("2")
    expected = "0" * 64
    done = host.install(archive, expected)
    assert done.returncode == 1
    assert f"not {expected}. Nothing was changed." in done.stdout
    before.pop(str(host.folder / "var/lib/cohort/manage.log"))
    assert host.snapshot() == before
    assert host.calls == []


@pytest.mark.parametrize("checksum", ["", "../../etc", "A" * 64, "0" * 63])
def test_what_is_no_checksum_is_refused(host: HostRoot, checksum: str) -> None:
    archive, _ = host.release("1")
    done = host.install(archive, checksum)
    assert done.returncode == 1
    assert "is no SHA-256" in done.stdout
    assert not (host.folder / "opt").exists()


def test_a_damaged_archive_is_refused(host: HostRoot) -> None:
    archive, _ = host.release("1")
    archive.write_bytes(archive.read_bytes()[:-100])
    done = host.install(archive, hashlib.sha256(archive.read_bytes()).hexdigest())
    assert done.returncode == 1
    assert "was not unpacked" in done.stdout
    assert list((host.folder / "opt/cohort/releases").iterdir()) == []


def test_two_releases_are_not_installed_at_once(host: HostRoot) -> None:
    lock = host.folder / "run/lock/cohort-install.lock"
    lock.parent.mkdir()
    archive, sha256 = host.release("1")
    with subprocess.Popen(["/usr/bin/flock", str(lock), "sh", "-c", "echo held; cat"], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        done = host.install(archive, sha256)
        assert holder.stdin is not None
        holder.stdin.close()
    assert done.returncode == 1
    assert "another release is being installed" in done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_shell_script_is_sound(script: Path) -> None:
    assert script.read_text().splitlines()[0] == "#!/usr/bin/env bash"
    assert "\nset -euo pipefail\n" in script.read_text()
    subprocess.run(["/bin/bash", "-n", str(script)], check=True)
    done = subprocess.run(["/usr/bin/shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
